//! The names in paths and settings. Each is checked once, when it is parsed.
//!
//! 1. [`grammar`]: the grammar of each name, and its errors
//! 2. [`name`]: a type for each name
//! 3. [`reference`]: references to releases, as in `APP@REF`

mod grammar;
mod name;
mod reference;

pub use grammar::NameError;
pub use name::{AppName, ChannelName, EnvironmentName, FileName, VersionName};
pub use reference::{AppReference, Reference, ReleaseNumber};
