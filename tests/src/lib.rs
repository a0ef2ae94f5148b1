//! The harness of the end-to-end tests.
//!
//! Processes and prerequisites:
//! - [`binaries`] builds the binaries under test, once per run.
//! - [`run`] starts processes and ends them with their test.
//! - [`harness`] runs the tests; [`skip`] selects them and skips those whose prerequisite is missing.
//! - `report` lists the slowest and the skipped tests.
//! - [`world`] is the process state that tests start from.
//! - [`terminal`] runs a process on a pseudo-terminal.
//! - [`strace`] makes system calls fail; [`power`] cuts the power of a disk.
//!
//! Servers:
//! - [`mock`] is a scripted repository; [`server`] is the real one.
//! - [`s3`] is an S3 store (`moto`) with faults; [`ceph`] is a real one.
//! - [`proxy`] runs nginx or `HAProxy`; [`tls`] adds HTTPS to a server; [`relay`] limits its bandwidth.
//! - [`dns`] is a name server; [`redis`] runs Redis; [`ports`] finds free ports.
//! - [`docker`] runs containers; [`platform`] and [`swarm`] run whole environments.
//!
//! Clients:
//! - [`http`] and [`wire`] send HTTP byte by byte; [`websocket`] is a WebSocket client; [`browser`] drives a browser.
//! - [`load`] puts an app under load; [`crowd`] holds thousands of connections open.
//! - [`herd`] simulates thousands of hosts.
//!
//! Data:
//! - [`fixture`] is an app in a repository, and a bootstrap that starts it.
//! - [`archive`] writes archives, valid and hostile; [`bombs`] are archives that expand beyond the limits.
//! - [`tree`] takes snapshots of directories; [`signing`] makes minisign keys; [`dice`] makes seeded random numbers.
//! - [`measure`] computes statistics for the benches.
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
mod report;
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
