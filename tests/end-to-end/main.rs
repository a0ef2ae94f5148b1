//! The end-to-end tests: real binaries through the contract only.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

// In all modules, #[test] is the attribute that registers a test with the harness.
#[macro_use]
extern crate test_macros;

mod archives;
mod browsing;
mod cache;
mod changes;
mod concurrency;
mod config_grammar;
mod console;
mod containers;
mod described;
mod documentation;
mod downloads;
mod durability;
mod encodings;
mod encryption;
mod exit_codes;
mod faults;
mod fetching;
mod following;
mod healthcheck;
mod held;
mod herd;
mod hostile;
mod https;
mod init;
mod interruption;
mod job_control;
mod kubernetes;
mod layering;
mod loadbalancer;
mod model;
mod moments;
mod moving;
mod offline;
mod other_machines;
mod outage;
mod platform;
mod proxied;
mod publishing;
mod releasing;
mod replicas;
mod samples;
mod secrets;
mod serving;
mod signals;
mod signed;
mod signed_channels;
mod smuggling;
mod sources;
mod starts;
mod startup_command;
mod superseded;
mod tokens;
mod upkeep;
mod user;
mod watching;
mod world;

fn main() -> std::process::ExitCode {
    platformer_tests::harness::main()
}
