//! The line of an error, with a caret under the place. Shows no character of a value.

use super::error::ConfigError;
use super::file::is_variable_name;
use super::grammar::parse;

/// Maximum number of characters shown.
const WIDTH: usize = 100;

/// Stands for a character of the value.
const MASK: char = '·';

/// Two lines: `NAME=····` and a caret. `None` if the place is not in the file.
pub fn excerpt(file: &[u8], error: &ConfigError) -> Option<String> {
    let mut lines = file.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines
        .by_ref()
        .take(error.line.checked_sub(1)?)
        .map(<[u8]>::len)
        .sum();
    let line = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let line = line
        .trim_start_matches('\u{feff}')
        .trim_end_matches(['\r', '\n']);
    // The value begins after the first =, unless the line continues a value.
    let joined = file[..before].trim_ascii_end().ends_with(b"\\");
    let continues = joined || parse(&file[..before]).is_err();
    let name_end = line
        .find('=')
        .filter(|end| {
            if continues {
                return false;
            }
            let name = line[..*end].trim_start();
            let name = name.strip_prefix("export ").unwrap_or(name);
            is_variable_name(name.as_bytes())
        })
        .map_or(0, |end| end + 1);
    let name_length = line[..name_end].chars().count();
    let column = error.column.checked_sub(1)?;
    // A long line is cut around the place.
    let skipped = column.saturating_sub(WIDTH / 2);
    let shown: String = line
        .chars()
        .enumerate()
        .skip(skipped)
        .take(WIDTH)
        .map(|(at, character)| match character {
            _ if at < name_length => character,
            ' ' | '\t' => ' ',
            _ => MASK,
        })
        .collect();
    Some(format!("{shown}\n{}^", " ".repeat(column - skipped)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        excerpt(text.as_bytes(), &parse(text.as_bytes()).unwrap_err()).unwrap()
    }

    #[test]
    fn the_place_is_shown_and_the_value_is_not() {
        assert_eq!(
            of("A=1\nPASSWORD=hunter2$x\n"),
            "PASSWORD=·········\n                ^"
        );
        assert_eq!(of("  export A=1 b\n"), "  export A=· ·\n             ^");
        assert_eq!(of("\u{feff}A=$x\r\n"), "A=··\n  ^");
        // The rest of a value may stand on a line of its own, and look like anything.
        let text = of("A='one\ntwo=3' three\n");
        assert_eq!(text, "······ ·····\n       ^");
        assert_eq!(of("A=\\\nhunter2=$x\n"), "··········\n        ^");
        assert_eq!(of("A=\n8hunter2=\n"), "·········\n^");
    }

    #[test]
    fn long_lines_are_cut() {
        let text = of(&format!("A={}$x\n", "y".repeat(500)));
        let (line, caret) = text.split_once('\n').unwrap();
        assert!(line.chars().count() <= WIDTH);
        assert_eq!(caret.chars().count(), WIDTH / 2 + 1);
    }
}
