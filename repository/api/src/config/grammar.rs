//! The parser. It accepts what `dash` would assign and rejects what `dash` would do more with; the
//! test beside it asks `dash` itself.
//!
//! 1. bytes to characters: size, UTF-8, NUL, line ends, byte-order mark
//! 2. a file: lines of blanks, comments and assignments
//! 3. an assignment: `export`, name, `=`, value, end of line
//! 4. a value: bare text, `'…'` and `"…"` parts of one word

use std::collections::HashMap;

use super::{Assignment, Config, ConfigError, MAX_FILE_BYTES, MAX_VALUE_BYTES, Reason, Warning};

/// Reads a config file, whole or not at all.
pub fn parse(bytes: &[u8]) -> Result<Config, ConfigError> {
    let mut parser = Parser::new(bytes)?;
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

#[derive(Clone, Copy)]
struct Position {
    line: usize,
    column: usize,
}

impl Position {
    const START: Self = Self { line: 1, column: 1 };

    fn error(self, reason: Reason) -> ConfigError {
        ConfigError {
            line: self.line,
            column: self.column,
            reason,
        }
    }

    fn after(text: &str) -> Self {
        let line = text.matches('\n').count() + 1;
        let last = text.rsplit('\n').next().unwrap_or_default();
        Self {
            line,
            column: last.chars().count() + 1,
        }
    }
}

struct Parser {
    characters: Vec<char>,
    next: usize,
    position: Position,
}

impl Parser {
    fn new(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(Position::START.error(Reason::FileTooLarge));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            Position::after(&valid).error(Reason::NotUtf8)
        })?;
        if let Some(at) = text.find('\0') {
            return Err(Position::after(&text[..at]).error(Reason::Nul));
        }
        let text = text
            .strip_prefix('\u{feff}')
            .unwrap_or(text)
            .replace("\r\n", "\n");
        if let Some(at) = text.find('\r') {
            return Err(Position::after(&text[..at]).error(Reason::LoneCarriageReturn));
        }
        Ok(Self {
            characters: text.chars().collect(),
            next: 0,
            position: Position::START,
        })
    }

    fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.next + ahead).copied()
    }

    fn take(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.next += 1;
        if character == '\n' {
            self.position = Position {
                line: self.position.line + 1,
                column: 1,
            };
        } else {
            self.position.column += 1;
        }
        Some(character)
    }

    fn take_joined_line(&mut self) -> bool {
        let joined = self.peek() == Some('\\') && self.peek_at(1) == Some('\n');
        if joined {
            self.take();
            self.take();
        }
        joined
    }

    /// Blanks, and lines joined by a backslash; whether there were any blanks.
    fn skip_blanks(&mut self) -> bool {
        let mut blanks = false;
        loop {
            if matches!(self.peek(), Some(' ' | '\t')) {
                self.take();
                blanks = true;
            } else if !self.take_joined_line() {
                return blanks;
            }
        }
    }

    fn skip_comment(&mut self) {
        while self.peek().is_some_and(|character| character != '\n') {
            self.take();
        }
    }

    fn next_assignment(&mut self) -> Result<Option<Assignment>, ConfigError> {
        loop {
            self.skip_blanks();
            match self.peek() {
                None => return Ok(None),
                Some('\n') => {
                    self.take();
                }
                Some('#') => self.skip_comment(),
                Some(_) => return self.assignment().map(Some),
            }
        }
    }

    fn assignment(&mut self) -> Result<Assignment, ConfigError> {
        let mut name = self.name()?;
        if name == "export" && self.skip_blanks() {
            name = self.name()?;
        }
        let line = self.position.line;
        match self.peek() {
            Some('=') => self.take(),
            _ => return Err(self.position.error(Reason::Equals)),
        };
        let begin = self.position;
        let value = self.value()?;
        let is_number =
            (1..=9).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
        if name == "OPTIND" && !is_number {
            return Err(begin.error(Reason::NotANumber));
        }
        if value.len() >= MAX_VALUE_BYTES {
            return Err(begin.error(Reason::ValueTooLong));
        }
        let empty = self.position.line == begin.line && self.position.column == begin.column;
        let blanks = self.skip_blanks();
        match self.peek() {
            None | Some('\n') => {}
            Some('#') if blanks => self.skip_comment(),
            Some(';' | '&' | '|' | '<' | '>' | '(' | ')') => {
                return Err(self.position.error(Reason::Operator));
            }
            Some(_) if empty => return Err(begin.error(Reason::BlankAfterEquals)),
            Some(_) => return Err(self.position.error(Reason::SecondWord)),
        }
        Ok(Assignment { name, value, line })
    }

    fn name(&mut self) -> Result<String, ConfigError> {
        let begin = self.position;
        let mut name = String::new();
        while let Some(character) = self.peek() {
            if !character.is_ascii_alphanumeric() && character != '_' {
                break;
            }
            name.push(character);
            self.take();
        }
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(begin.error(Reason::Name));
        }
        Ok(name)
    }

    fn value(&mut self) -> Result<String, ConfigError> {
        let mut value = String::new();
        loop {
            let here = self.position;
            match self.peek() {
                None | Some(' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') => {
                    return Ok(value);
                }
                Some('$') => return Err(here.error(Reason::Dollar)),
                Some('`') => return Err(here.error(Reason::Backtick)),
                // Stricter than a shell by a hair: `''~` and `\:~` are no expansions either, but
                // no reader should have to know that.
                Some('~') if value.is_empty() || value.ends_with(':') => {
                    return Err(here.error(Reason::Tilde));
                }
                Some('\'') => self.single_quoted(&mut value)?,
                Some('"') => self.double_quoted(&mut value)?,
                Some('\\') => {
                    self.take();
                    match self.take() {
                        None => return Err(here.error(Reason::TrailingBackslash)),
                        Some('\n') => {}
                        Some(literal) => value.push(literal),
                    }
                }
                Some(literal) => {
                    value.push(literal);
                    self.take();
                }
            }
        }
    }

    fn single_quoted(&mut self, value: &mut String) -> Result<(), ConfigError> {
        let begin = self.position;
        self.take();
        loop {
            match self.take() {
                None => return Err(begin.error(Reason::UnterminatedSingle)),
                Some('\'') => return Ok(()),
                Some(literal) => value.push(literal),
            }
        }
    }

    fn double_quoted(&mut self, value: &mut String) -> Result<(), ConfigError> {
        let begin = self.position;
        self.take();
        loop {
            let here = self.position;
            match self.take() {
                None => return Err(begin.error(Reason::UnterminatedDouble)),
                Some('"') => return Ok(()),
                Some('$') => return Err(here.error(Reason::Dollar)),
                Some('`') => return Err(here.error(Reason::Backtick)),
                Some('\\') => match self.peek() {
                    Some('\n') => {
                        self.take();
                    }
                    Some(escaped @ ('"' | '\\' | '$' | '`')) => {
                        value.push(escaped);
                        self.take();
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
