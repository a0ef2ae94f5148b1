//! The grammar: the parser accepts what `dash` would assign, and rejects everything with which `dash`
//! would do more. The end-to-end tests compare both.
//!
//! 1. a file: lines of blanks, comments and assignments
//! 2. an assignment: `export`, name, `=`, value, end of line
//! 3. a value: bare text, `'…'` and `"…"` parts of one word

use std::collections::HashMap;

use super::error::{ConfigError, Reason};
use super::file::{Assignment, Config, MAX_VALUE_BYTES, Warning};
use super::reader::Reader;

/// Parses a config file, whole or not at all.
pub fn parse(bytes: &[u8]) -> Result<Config, ConfigError> {
    let mut parser = Parser {
        input: Reader::new(bytes)?,
    };
    let mut assignments: Vec<Option<Assignment>> = Vec::new();
    let mut warnings = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    while let Some(assignment) = parser.next_assignment()? {
        let earlier = places.insert(assignment.name.clone(), assignments.len());
        if let Some(earlier) = earlier.and_then(|place| assignments[place].take()) {
            warnings.push(Warning {
                name: earlier.name,
                first_line: earlier.line,
                line: assignment.line,
            });
        }
        assignments.push(Some(assignment));
    }
    Ok(Config {
        assignments: assignments.into_iter().flatten().collect(),
        warnings,
    })
}

struct Parser {
    input: Reader,
}

impl Parser {
    fn next_assignment(&mut self) -> Result<Option<Assignment>, ConfigError> {
        loop {
            self.input.skip_blanks();
            match self.input.peek() {
                None => return Ok(None),
                Some('\n') => {
                    self.input.take();
                }
                Some('#') => self.input.skip_comment(),
                Some(_) => return self.assignment().map(Some),
            }
        }
    }

    fn assignment(&mut self) -> Result<Assignment, ConfigError> {
        let mut name = self.name()?;
        if name == "export" && self.input.skip_blanks() {
            name = self.name()?;
        }
        let line = self.input.position.line;
        match self.input.peek() {
            Some('=') => self.input.take(),
            _ => return Err(self.input.position.error(Reason::Equals)),
        };
        let begin = self.input.position;
        let value = self.value()?;
        let is_number =
            (1..=9).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
        if name == "OPTIND" && !is_number {
            return Err(begin.error(Reason::NotANumber));
        }
        if value.len() >= MAX_VALUE_BYTES {
            return Err(begin.error(Reason::ValueTooLong));
        }
        let empty =
            self.input.position.line == begin.line && self.input.position.column == begin.column;
        let blanks = self.input.skip_blanks();
        match self.input.peek() {
            None | Some('\n') => {}
            Some('#') if blanks => self.input.skip_comment(),
            Some(';' | '&' | '|' | '<' | '>' | '(' | ')') => {
                return Err(self.input.position.error(Reason::Operator));
            }
            Some(_) if empty => return Err(begin.error(Reason::BlankAfterEquals)),
            Some(_) => return Err(self.input.position.error(Reason::SecondWord)),
        }
        Ok(Assignment { name, value, line })
    }

    fn name(&mut self) -> Result<String, ConfigError> {
        let begin = self.input.position;
        let mut name = String::new();
        while let Some(character) = self.input.peek() {
            if !character.is_ascii_alphanumeric() && character != '_' {
                break;
            }
            name.push(character);
            self.input.take();
        }
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(begin.error(Reason::Name));
        }
        Ok(name)
    }

    fn value(&mut self) -> Result<String, ConfigError> {
        let mut value = String::new();
        loop {
            let here = self.input.position;
            match self.input.peek() {
                None | Some(' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') => {
                    return Ok(value);
                }
                Some('$') => return Err(here.error(Reason::Dollar)),
                Some('`') => return Err(here.error(Reason::Backtick)),
                // A shell would not expand `''~` and `\:~` either. Refusing them keeps the rule simple.
                Some('~') if value.is_empty() || value.ends_with(':') => {
                    return Err(here.error(Reason::Tilde));
                }
                Some('\'') => self.single_quoted(&mut value)?,
                Some('"') => self.double_quoted(&mut value)?,
                Some('\\') => {
                    self.input.take();
                    match self.input.take() {
                        None => return Err(here.error(Reason::TrailingBackslash)),
                        Some('\n') => {}
                        Some(literal) => value.push(literal),
                    }
                }
                Some(literal) => {
                    value.push(literal);
                    self.input.take();
                }
            }
        }
    }

    fn single_quoted(&mut self, value: &mut String) -> Result<(), ConfigError> {
        let begin = self.input.position;
        self.input.take();
        loop {
            match self.input.take() {
                None => return Err(begin.error(Reason::UnterminatedSingle)),
                Some('\'') => return Ok(()),
                Some(literal) => value.push(literal),
            }
        }
    }

    fn double_quoted(&mut self, value: &mut String) -> Result<(), ConfigError> {
        let begin = self.input.position;
        self.input.take();
        loop {
            let here = self.input.position;
            match self.input.take() {
                None => return Err(begin.error(Reason::UnterminatedDouble)),
                Some('"') => return Ok(()),
                Some('$') => return Err(here.error(Reason::Dollar)),
                Some('`') => return Err(here.error(Reason::Backtick)),
                Some('\\') => match self.input.peek() {
                    Some('\n') => {
                        self.input.take();
                    }
                    Some(escaped @ ('"' | '\\' | '$' | '`')) => {
                        value.push(escaped);
                        self.input.take();
                    }
                    _ => value.push('\\'),
                },
                Some(literal) => value.push(literal),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::MAX_FILE_BYTES;
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let config = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        config
            .assignments
            .into_iter()
            .map(|Assignment { name, value, .. }| (name, value))
            .collect()
    }

    fn value(text: &str) -> String {
        pairs(&format!("A={text}")).pop().unwrap().1
    }

    fn refused(text: &str) -> (usize, usize, Reason) {
        let ConfigError {
            line,
            column,
            reason,
        } = parse(text.as_bytes()).unwrap_err();
        (line, column, reason)
    }

    #[test]
    fn values_are_one_word_of_parts() {
        assert_eq!(value(""), "");
        assert_eq!(value("a#b=c"), "a#b=c");
        assert_eq!(value("a\\ b\\$c\\\nd"), "a b$cd");
        assert_eq!(
            value("'a b $c \\'\"d \\n \\\" \\$\"e"),
            "a b $c \\d \\n \" $e"
        );
        assert_eq!(value("'two\nlines'"), "two\nlines");
        assert_eq!(value("a~b"), "a~b");
        assert_eq!(value("'~'/b:\\~"), "~/b:~");
    }

    #[test]
    fn lines_comments_and_export() {
        let text = "\u{feff}# first\r\n\r\n\t export A=1 # one\r\nB='2\r\n3'\r\nexport=4\n\\\nC=5";
        let expected = [("A", "1"), ("B", "2\n3"), ("export", "4"), ("C", "5")];
        assert_eq!(
            pairs(text),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn the_last_of_two_wins_with_a_warning() {
        let config = parse(b"A=1\nB=2\nA=3\n").unwrap();
        assert_eq!(config.assignments.len(), 2);
        assert_eq!(config.assignments[1].value, "3");
        assert_eq!(
            config.warnings,
            [Warning {
                name: "A".to_owned(),
                first_line: 1,
                line: 3
            }]
        );
    }

    #[test]
    fn errors_name_the_place_and_the_reason() {
        use Reason::*;
        let cases: [(&str, usize, usize, Reason); 22] = [
            ("A=$HOME", 1, 3, Dollar),
            ("A=\"$HOME\"", 1, 4, Dollar),
            ("A=1\nB=`id`", 2, 3, Backtick),
            ("A=a;b", 1, 4, Operator),
            ("A=(a)", 1, 3, Operator),
            ("A=a >b", 1, 5, Operator),
            ("A=~", 1, 3, Tilde),
            ("A=a:~", 1, 5, Tilde),
            ("A='a\nb", 1, 3, UnterminatedSingle),
            ("A=\"a", 1, 3, UnterminatedDouble),
            ("A=a b", 1, 5, SecondWord),
            ("A=1 B=2", 1, 5, SecondWord),
            ("A= b", 1, 3, BlankAfterEquals),
            ("A =b", 1, 2, Equals),
            ("A", 1, 2, Equals),
            ("export A", 1, 9, Equals),
            ("1A=b", 1, 1, Name),
            ("ä=b", 1, 1, Name),
            ("A=é\\", 1, 4, TrailingBackslash),
            ("A=1\rB=2", 1, 4, LoneCarriageReturn),
            ("A=1\n\0", 2, 1, Nul),
            ("OPTIND=abc", 1, 8, NotANumber),
        ];
        for (text, line, column, reason) in cases {
            assert_eq!(refused(text), (line, column, reason), "{text:?}");
        }
        assert_eq!(
            parse(b"A=1\nB=\xff").unwrap_err().to_string(),
            "line 2, column 3: not UTF-8: save the file as UTF-8"
        );
    }

    #[test]
    fn sizes_at_the_limits() {
        let with_value = |bytes: usize| format!("A={}", "x".repeat(bytes));
        assert!(parse(with_value(MAX_VALUE_BYTES - 1).as_bytes()).is_ok());
        assert_eq!(
            refused(&with_value(MAX_VALUE_BYTES)).2,
            Reason::ValueTooLong
        );
        let comment = |bytes: usize| format!("#{}", "x".repeat(bytes - 1));
        assert!(parse(comment(MAX_FILE_BYTES).as_bytes()).is_ok());
        assert_eq!(
            refused(&comment(MAX_FILE_BYTES + 1)).2,
            Reason::FileTooLarge
        );
    }

    #[test]
    fn no_error_and_no_debug_output_holds_a_value() {
        let secret = "hunter2";
        for text in [
            format!("A={secret} b"),
            format!("A='{secret}"),
            format!("A={secret}$x"),
        ] {
            assert!(!format!("{0} {0:?}", parse(text.as_bytes()).unwrap_err()).contains(secret));
        }
        assert!(
            !format!("{:?}", parse(format!("A={secret}").as_bytes()).unwrap()).contains(secret)
        );
    }
}
