//! The wire contract between `repository` and its clients, and nothing else: no server, no client,
//! no storage. What `bootstrap` and `repository` must agree on is written once, here.
//!
//! 1. [`names`]: the grammar of every name in a path
//! 2. [`version`]: the one total order of versions
//! 3. [`digest`]: SHA-256 in its spellings
//! 4. [`release`]: the document that `bootstrap` asks for
//! 5. [`candidate`]: which artefact is meant for a machine
//! 6. [`signature`]: who signed a release
//! 7. [`config`]: the config grammar, merge and rendering
//! 8. [`routes`]: the paths
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
