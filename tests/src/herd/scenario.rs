//! The parameters of a simulation and its results.

use std::time::Duration;

pub const MIB: f64 = 1_048_576.0;
/// Bytes per second of a link of 1 Gbit/s.
pub const GBIT: f64 = 125e6;

/// Times are in seconds, sizes in bytes.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub hosts: usize,
    pub artefact: f64,
    /// The release document, which each host fetches first on the same connection.
    pub document: f64,
    /// Hosts start within this time.
    pub spread: f64,
    /// The repository refuses connections for this long after the first start.
    pub outage: f64,
    /// The jitter of bootstrap. Without jitter, each delay is its ceiling.
    pub jitter: bool,
    pub repositories: usize,
    /// Bandwidth of each repository.
    pub link: f64,
    /// Bandwidth of each host.
    pub host_link: f64,
    /// Connections that each repository serves at the same time.
    pub connections: usize,
    /// Connections in the accept queue of each repository.
    pub backlog: usize,
    /// `BOOTSTRAP_DEADLINE`. The engine restarts a bootstrap that fails at its deadline.
    pub deadline: f64,
    /// Whether the partial download survives a restart: it does on a disk, but not on a tmpfs.
    pub resumes: bool,
    pub seed: u64,
}

impl Default for Scenario {
    /// One repository as documented: 9,700 connections with `ulimit -n 20000`, and a queue of 4,096.
    fn default() -> Self {
        Self {
            hosts: 1000,
            artefact: 50.0 * MIB,
            document: 4096.0,
            spread: 1.0,
            outage: 60.0,
            jitter: true,
            repositories: 1,
            link: 10.0 * GBIT,
            host_link: GBIT,
            connections: 9700,
            backlog: 4096,
            deadline: 300.0,
            resumes: true,
            seed: 1,
        }
    }
}

/// The simulation ends after this many seconds. Hosts without the artefact count as never finished.
pub(super) const HORIZON: f64 = 7200.0;

/// The results. Times are relative to the end of the outage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// When each host had the artefact, sorted; infinite for hosts that never got it.
    pub times: Vec<f64>,
    /// Connections to the origin per second.
    pub arrivals: Vec<u64>,
    /// Bytes sent by the origin.
    pub bytes: f64,
    /// Connections that found the queue full or timed out in it.
    pub rejected: u64,
    /// Starts that exited with 69 at their deadline.
    pub expired: u64,
}

impl Report {
    /// When `percent` of the hosts had the artefact; `Duration::MAX` for never.
    ///
    /// # Panics
    ///
    /// Panics without hosts.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.times.len() * percent).div_ceil(100).max(1);
        Duration::try_from_secs_f64(self.times[rank - 1].max(0.0)).unwrap_or(Duration::MAX)
    }

    /// Connections in the busiest second.
    pub fn peak(&self) -> u64 {
        self.arrivals.iter().copied().max().unwrap_or_default()
    }

    /// The share of connections that were rejected.
    pub fn rejection_rate(&self) -> f64 {
        let arrivals: u64 = self.arrivals.iter().sum();
        self.rejected as f64 / arrivals.max(1) as f64
    }

    pub(super) fn arrive(&mut self, second: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "seconds of a simulation, from 0 on"
        )]
        let second = second.max(0.0) as usize;
        if self.arrivals.len() <= second {
            self.arrivals.resize(second + 1, 0);
        }
        self.arrivals[second] += 1;
    }
}
