//! The harness of the end-to-end tests.
//!
//! - [`binaries`]: the binaries under test, built once a run
//! - [`run`]: processes that do not outlive their test
//! - [`http`]: requests as raw as a test wants them
//! - [`ports`]: ports for programs that have to be told one
//! - [`mock`]: a repository that answers from a script
//! - [`server`]: the real repository on a port of its own
//! - [`s3`]: a store that speaks S3 (`moto`), and bad ways to it; [`ceph`]: a real one
//! - [`herd`]: thousands of hosts, simulated; [`relay`]: a slow way to a server
//! - [`dns`]: a name server whose answers change
//! - [`redis`]: a Redis that comes and goes; [`websocket`]: who follows an app
//! - [`proxy`]: nginx or `HAProxy` in front of it
//! - [`strace`]: calls that fail or kill; [`power`]: a disk whose power can be cut
//! - [`bombs`]: small archives of much
//! - [`crowd`]: thousands of connections that are held
//! - [`dice`]: numbers for what is generated
//! - [`archive`]: archives, well-formed and hostile
//! - [`fixture`]: an app, as a repository shows it
//! - [`docker`]: containers, where Docker answers
//! - [`platform`]: whole environments, [`swarm`]: production among them; [`load`]: clients of them
//! - [`terminal`]: a terminal, and what runs on it
//! - [`tree`]: what lies below a directory; [`wire`]: a connection for any bytes
//! - [`tls`]: the mock behind HTTPS
//! - [`measure`]: figures for the benches
//! - [`signing`]: minisign keys
//! - [`harness`]: runs the tests; [`skip`]: which of them, and what becomes of one whose prerequisite is missing;
//!   [`world`]: the process state that they start from
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a harness fails its test by panicking"
)]

pub mod archive;
pub mod binaries;
pub mod bombs;
pub mod browser;
pub mod ceph;
pub mod crowd;
pub mod dice;
pub mod dns;
pub mod docker;
pub mod fixture;
pub mod harness;
pub mod herd;
pub mod http;
pub mod load;
pub mod measure;
pub mod mock;
mod moto;
pub mod platform;
pub mod ports;
pub mod power;
pub mod proxy;
pub mod redis;
pub mod relay;
pub mod run;
pub mod s3;
pub mod server;
pub mod signing;
pub mod skip;
pub mod strace;
pub mod swarm;
pub mod terminal;
pub mod tls;
pub mod tree;
pub mod websocket;
pub mod wire;
pub mod world;

pub use test_macros::test;
