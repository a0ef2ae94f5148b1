//! Real binaries through the contract only.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archives;
mod cache;
mod changes;
mod concurrency;
mod config_grammar;
mod containers;
mod downloads;
mod durability;
mod encryption;
mod exit_codes;
mod faults;
mod fetching;
mod healthcheck;
mod hostile;
mod init;
mod interruption;
mod job_control;
mod model;
mod moving;
mod offline;
mod other_machines;
mod publishing;
mod releasing;
mod replicas;
mod secrets;
mod serving;
mod signals;
mod signed;
mod sources;
mod starts;
mod startup_command;
mod tokens;
mod upkeep;
mod user;
mod watching;
