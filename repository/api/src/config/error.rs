//! Errors of the grammar.

/// An error in a config file, with its place. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct ConfigError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the file is larger than 1 MiB: move data into the artefact")]
    FileTooLarge,
    #[error("not UTF-8: save the file as UTF-8")]
    NotUtf8,
    #[error("a NUL byte: no environment variable can hold one")]
    Nul,
    #[error("a carriage return without a line feed: end lines with LF or CRLF")]
    LoneCarriageReturn,
    #[error(
        "expected NAME=value: a name consists of A-Z, a-z, 0-9 and _, and doesn't begin with a digit"
    )]
    Name,
    #[error("expected = right after the name, without a blank")]
    Equals,
    #[error("expected one word: use quotes around a value with blanks, and one assignment a line")]
    SecondWord,
    #[error("a blank after =: write NAME=value, without blanks around =")]
    BlankAfterEquals,
    #[error(
        "a $ that a shell would expand: config files expand nothing; put the value into single quotes"
    )]
    Dollar,
    #[error(
        "a backtick that a shell would execute: config files execute nothing; put the value into single quotes"
    )]
    Backtick,
    #[error("an unquoted ; & | < > ( or ): use single quotes around it")]
    Operator,
    #[error(
        "an unquoted ~ that a shell would expand: use single quotes around it, or write the path"
    )]
    Tilde,
    #[error("this single quote is never closed")]
    UnterminatedSingle,
    #[error("this double quote is never closed")]
    UnterminatedDouble,
    #[error("a backslash at the end of the file: remove it")]
    TrailingBackslash,
    #[error("OPTIND is a shell's own variable and takes only a number: use another name")]
    NotANumber,
    #[error("the value is 128 KiB or longer, which the kernel doesn't allow: put it into a file")]
    ValueTooLong,
}
