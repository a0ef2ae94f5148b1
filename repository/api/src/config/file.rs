//! A parsed config file, and the merge of several.

use std::collections::BTreeMap;
use std::fmt;

/// Maximum size of a config file, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// A value must be shorter than this, in bytes (execve(2), `MAX_ARG_STRLEN`).
pub const MAX_VALUE_BYTES: usize = 128 << 10;

/// Whether bytes are the name of an environment variable: `[A-Za-z_][A-Za-z0-9_]*`.
pub fn is_variable_name(name: &[u8]) -> bool {
    name.first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// A file's assignments, in the order of each name's last assignment.
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

/// Shows no value, because a value can be a secret.
impl fmt::Debug for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assignment")
            .field("name", &self.name)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// A name that is assigned twice; the last assignment wins.
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
            "{name} is assigned on line {first_line} and again on line {line}; the last assignment wins"
        )
    }
}

/// Merges layers; of two assignments to a name, the later layer's wins.
pub fn merge<'a>(layers: impl IntoIterator<Item = &'a Config>) -> BTreeMap<String, String> {
    let mut merged = BTreeMap::new();
    for layer in layers {
        for Assignment { name, value, .. } in &layer.assignments {
            merged.insert(name.clone(), value.clone());
        }
    }
    merged
}
