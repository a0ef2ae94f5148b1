//! The contract between `repository` and its clients: the names, documents and grammars that both sides
//! must agree on. The crate contains no server, no client and no storage.
//!
//! 1. [`names`]: apps, versions, channels, environments and files
//! 2. [`version`]: the order of versions
//! 3. [`digest`]: SHA-256 in its spellings
//! 4. [`release`]: the release document, the one answer that `bootstrap` needs
//! 5. [`candidate`]: the choice of a version's artefact for a machine
//! 6. [`signature`]: signatures of releases
//! 7. [`config`]: the grammar of config files
//! 8. [`routes`]: the paths of the HTTP interface
//! 9. [`problem`]: errors over HTTP
//! 10. [`units`]: durations and sizes in settings
//! 11. [`exit`]: the exit codes of `bootstrap`

pub mod candidate;
pub mod config;
pub mod digest;
pub mod exit;
pub mod names;
pub mod problem;
pub mod release;
pub mod routes;
pub mod signature;
pub mod units;
pub mod version;

pub use digest::Digest;
pub use exit::Exit;
pub use names::{
    AppName, AppReference, ChannelName, EnvironmentName, FileName, NameError, Reference,
    ReleaseNumber, VersionName,
};
pub use problem::Problem;
