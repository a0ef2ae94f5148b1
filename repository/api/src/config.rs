//! Config files: a list of `NAME=value`, the part of POSIX sh that assigns and never executes.
//!
//! 1. [`parse`] reads a file, whole or not at all.
//! 2. [`merge`] merges the layers; later layers win.
//! 3. [`render`] writes assignments in the same grammar.
//! 4. [`excerpt`] shows the place of an error without the value.

mod error;
mod excerpt;
mod file;
mod grammar;
mod reader;
mod render;

pub use error::{ConfigError, Reason};
pub use excerpt::excerpt;
pub use file::{
    Assignment, Config, MAX_FILE_BYTES, MAX_VALUE_BYTES, Warning, is_variable_name, merge,
};
pub use grammar::parse;
pub use render::{quote, render};
