//! Config files: a list of `NAME=value`, the part of POSIX sh that assigns and never executes.
//!
//! 1. [`parse`] reads one file, whole or not at all.
//! 2. [`merge`] lays files over one another; later wins.
//! 3. [`render`] writes assignments back in the same grammar.

mod excerpt;
mod grammar;
mod render;

use std::collections::BTreeMap;
use std::fmt;

pub use excerpt::excerpt;
pub use grammar::parse;
pub use render::{quote, render};

/// Bytes that a config file may have at the most.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// Bytes that a value must stay below: the kernel takes no longer string (execve(2), `MAX_ARG_STRLEN`).
pub const MAX_VALUE_BYTES: usize = 128 << 10;

/// The name of an environment variable: `[A-Za-z_][A-Za-z0-9_]*`.
pub fn is_variable_name(name: &[u8]) -> bool {
    name.first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// One file's assignments in order of the last mention of each name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    pub assignments: Vec<Assignment>,
    pub warnings: Vec<Warning>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Assignment {
    pub name: String,
    pub value: String,
    /// From 1.
    pub line: usize,
}

/// Shows no value: it may be a secret.
impl fmt::Debug for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assignment")
            .field("name", &self.name)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// A name was assigned twice; the last one won.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub name: String,
    pub first_line: usize,
    pub line: usize,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            first_line,
            line,
        } = self;
        write!(
            f,
            "{name} is assigned on line {first_line} and again on line {line}; the last one wins"
        )
    }
}

/// What is wrong with a config file, and where. Never holds a value.
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
    #[error("expected NAME=value: a name is made of A-Z, a-z, 0-9 and _, and begins with no digit")]
    Name,
    #[error("expected = right after the name, with no blank before it")]
    Equals,
    #[error("expected one word: use quotes around a value with blanks, and one assignment a line")]
    SecondWord,
    #[error("a blank after =: write NAME=value, with no blank around =")]
    BlankAfterEquals,
    #[error(
        "a $ that a shell would expand: nothing is expanded here, put the value into single quotes"
    )]
    Dollar,
    #[error(
        "a backtick that a shell would execute: nothing is executed here, put the value into single quotes"
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
    #[error("a backslash at the end of the file: nothing follows that it could quote")]
    TrailingBackslash,
    #[error("OPTIND is a shell's own, and takes a number only: use another name")]
    NotANumber,
    #[error("the value is 128 KiB or longer: the kernel takes no longer one, use a file")]
    ValueTooLong,
}

/// Lays the files over one another; of two equal names the later one wins.
pub fn merge<'a>(layers: impl IntoIterator<Item = &'a Config>) -> BTreeMap<String, String> {
    let mut merged = BTreeMap::new();
    for layer in layers {
        for Assignment { name, value, .. } in &layer.assignments {
            merged.insert(name.clone(), value.clone());
        }
    }
    merged
}
