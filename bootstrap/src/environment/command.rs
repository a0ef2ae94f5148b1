//! Splits `STARTUP_COMMAND` into words like sh, but without a shell: quotes, backslashes, `$NAME` and
//! `${NAME}`. Anything else that needs a shell is refused.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use super::variables::Environment;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("the command is empty: name the program to start")]
    Empty,
    #[error("{0} needs a shell: write sh -c '…'")]
    NeedsShell(&'static str),
    #[error("${0} is not defined: define it in the config, or pass it to the container")]
    Undefined(String),
    #[error("a quote is not closed")]
    Unterminated,
    #[error("a $ without a name: put single quotes around it")]
    BadName,
}

/// Splits a command line into words.
pub(crate) fn split(text: &[u8], environment: &Environment) -> Result<Vec<OsString>, CommandError> {
    let mut splitter = Splitter {
        rest: text,
        environment,
        words: Vec::new(),
        word: None,
    };
    splitter.run()?;
    let words = splitter.words;
    check_first(text, &words)?;
    Ok(words.into_iter().map(OsString::from_vec).collect())
}

fn check_first(text: &[u8], words: &[Vec<u8>]) -> Result<(), CommandError> {
    let first = words.first().ok_or(CommandError::Empty)?;
    if first.is_empty() {
        return Err(CommandError::Empty);
    }
    if first == b"exec" {
        return Err(CommandError::NeedsShell("exec, which has no effect here,"));
    }
    // Like the shell, this looks for an unquoted assignment before the command.
    let name_end = text
        .trim_ascii_start()
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    let bare = text.trim_ascii_start();
    if let Some(end) = name_end
        && bare[end] == b'='
        && repository_api::config::is_variable_name(&bare[..end])
    {
        return Err(CommandError::NeedsShell(
            "an assignment before the command, which belongs into the config,",
        ));
    }
    Ok(())
}

struct Splitter<'a> {
    rest: &'a [u8],
    environment: &'a Environment,
    words: Vec<Vec<u8>>,
    /// `None` between words; empty after `''`.
    word: Option<Vec<u8>>,
}

impl Splitter<'_> {
    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn push(&mut self, byte: u8) {
        self.word.get_or_insert_default().push(byte);
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn run(&mut self) -> Result<(), CommandError> {
        while let Some(byte) = self.take() {
            match byte {
                b' ' | b'\t' | b'\n' => self.end_word(),
                b'\'' => self.single_quoted()?,
                b'"' => self.double_quoted()?,
                b'\\' => match self.take() {
                    None => return Err(CommandError::Unterminated),
                    Some(b'\n') => {}
                    Some(literal) => self.push(literal),
                },
                b'$' => self.expansion(false)?,
                b'`' => return Err(CommandError::NeedsShell("a backtick")),
                b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => {
                    return Err(CommandError::NeedsShell("an operator (; & | < > ( or ))"));
                }
                b'*' | b'?' | b'[' => return Err(CommandError::NeedsShell("a pattern (* ? or [)")),
                b'~' if self.word.is_none() => {
                    return Err(CommandError::NeedsShell("a ~ that a shell would expand"));
                }
                b'#' if self.word.is_none() => return Err(CommandError::NeedsShell("a comment")),
                literal => self.push(literal),
            }
        }
        self.end_word();
        Ok(())
    }

    fn single_quoted(&mut self) -> Result<(), CommandError> {
        self.word.get_or_insert_default();
        loop {
            match self.take() {
                None => return Err(CommandError::Unterminated),
                Some(b'\'') => return Ok(()),
                Some(literal) => self.push(literal),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<(), CommandError> {
        self.word.get_or_insert_default();
        loop {
            match self.take() {
                None => return Err(CommandError::Unterminated),
                Some(b'"') => return Ok(()),
                Some(b'$') => self.expansion(true)?,
                Some(b'`') => return Err(CommandError::NeedsShell("a backtick")),
                Some(b'\\') => match self.rest.first() {
                    Some(b'\n') => {
                        self.take();
                    }
                    Some(b'"' | b'\\' | b'$' | b'`') => {
                        if let Some(literal) = self.take() {
                            self.push(literal);
                        }
                    }
                    _ => self.push(b'\\'),
                },
                Some(literal) => self.push(literal),
            }
        }
    }

    /// The next byte after joined lines: the shell removes a backslash with a line feed first.
    fn peek_joined(&mut self) -> Option<u8> {
        while let Some(rest) = self.rest.strip_prefix(b"\\\n") {
            self.rest = rest;
        }
        self.rest.first().copied()
    }

    /// Expands `$NAME` or `${NAME}`. Splits an unquoted value on white space.
    fn expansion(&mut self, quoted: bool) -> Result<(), CommandError> {
        let first = self.peek_joined();
        let braced = first == Some(b'{');
        if first == Some(b'(') {
            return Err(CommandError::NeedsShell("a $( )"));
        }
        if braced {
            self.take();
        }
        let mut name = Vec::new();
        while let Some(byte) = self
            .peek_joined()
            .filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        {
            self.take();
            name.push(byte);
        }
        if !repository_api::config::is_variable_name(&name) {
            return Err(CommandError::BadName);
        }
        if braced && self.take() != Some(b'}') {
            return Err(CommandError::NeedsShell("a ${NAME} with more than a name"));
        }
        let name = String::from_utf8_lossy(&name).into_owned();
        let Some(value) = self.environment.get(&name) else {
            return Err(CommandError::Undefined(name));
        };
        let value = value.as_bytes().to_vec();
        for byte in value {
            if !quoted && matches!(byte, b' ' | b'\t' | b'\n') {
                self.end_word();
            } else {
                self.push(byte);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<String>, CommandError> {
        let environment = Environment::of(&[
            ("A", "one two"),
            ("EMPTY", ""),
            ("PAD", " x "),
            ("STAR", "*"),
        ]);
        let words = split(text.as_bytes(), &environment)?;
        Ok(words
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect())
    }

    #[test]
    fn as_sh_splits() {
        let cases: [(&str, &[&str]); 13] = [
            ("./hello", &["./hello"]),
            ("  java  -jar\tx.jar\n", &["java", "-jar", "x.jar"]),
            ("a 'b c' \"d e\"f g\\ h", &["a", "b c", "d ef", "g h"]),
            ("a '' \"\"", &["a", "", ""]),
            (
                "a $A ${A} \"$A\" x$A",
                &["a", "one", "two", "one", "two", "one two", "xone", "two"],
            ),
            ("a $EMP\\\nTY$\\\nA b", &["a", "one", "two", "b"]),
            ("a $EMPTY b", &["a", "b"]),
            ("a \"$EMPTY\" b", &["a", "", "b"]),
            ("a x${PAD}y", &["a", "x", "x", "y"]),
            ("a '$A' \\$A \"\\$A\"", &["a", "$A", "$A", "$A"]),
            ("a \"b\\nc\"", &["a", "b\\nc"]),
            ("sh -c 'a; b | c > d'", &["sh", "-c", "a; b | c > d"]),
            ("a b~c d=e $STAR", &["a", "b~c", "d=e", "*"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn commands_that_need_a_shell_are_refused() {
        for text in [
            "a; b",
            "a && b",
            "a | b",
            "a > b",
            "a $(b)",
            "a `b`",
            "a *.txt",
            "a b?",
            "A=1 b",
            "exec a",
            "a ~",
            "(a)",
            "a #b",
            "${A:-x}",
            "a \"`b`\"",
        ] {
            let error = words(text).unwrap_err();
            assert!(
                matches!(error, CommandError::NeedsShell(_)),
                "{text}: {error:?}"
            );
            assert!(error.to_string().contains("sh -c '…'"));
        }
    }

    #[test]
    fn other_errors() {
        assert_eq!(words(" "), Err(CommandError::Empty));
        assert_eq!(words("''"), Err(CommandError::Empty));
        assert_eq!(words("$EMPTY"), Err(CommandError::Empty));
        assert_eq!(
            words("a $NOPE"),
            Err(CommandError::Undefined("NOPE".to_owned()))
        );
        for text in ["a 'b", "a \"b", "a \\"] {
            assert_eq!(words(text), Err(CommandError::Unterminated), "{text}");
        }
        for text in ["a $", "a $1", "a ${}", "a \"$ \""] {
            assert_eq!(words(text), Err(CommandError::BadName), "{text}");
        }
    }
}
