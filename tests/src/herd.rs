//! The cold-start herd, simulated: many hosts fetch one artefact at once, after their repository was away.
//!
//! 1. [`Scenario`]: hosts, artefact, repositories and their links
//! 2. [`run`]: events in the order of their times; the back-off is the very file of bootstrap's
//! 3. `origin`: a link that all transfers share, room for so many of them, and a queue before it
//! 4. [`Report`]: when hosts have what they need, and what that cost the origin
//! 5. [`sites`]: the same with a cache in front for each site
//!
//! Not modelled: TCP's own start and losses, the time that processors take (hashing, TLS, a thousand
//! requests a second), disks and S3 behind a repository, DNS, hosts that differ, other traffic on the links.
#![allow(
    clippy::cast_precision_loss,
    reason = "counts and bytes are far below 2^52"
)]

#[path = "../../bootstrap/src/repository/backoff.rs"]
mod backoff;
mod events;
mod hosts;
mod origin;

use std::time::Duration;

pub const MIB: f64 = 1_048_576.0;
/// Bytes a second of a link of 1 Gbit/s.
pub const GBIT: f64 = 125e6;

/// Seconds and bytes, as fractions.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub hosts: usize,
    pub artefact: f64,
    /// The release document, which comes before it on the same connection.
    pub document: f64,
    /// Hosts start within this time.
    pub spread: f64,
    /// So long after the first start the repository answers again; until then it refuses connections.
    pub outage: f64,
    /// bootstrap's; without it each delay is its ceiling.
    pub jitter: bool,
    pub repositories: usize,
    /// Of each repository, and of each host.
    pub link: f64,
    pub host_link: f64,
    /// That each repository serves at once, and that wait in the queue of its kernel.
    pub connections: usize,
    pub backlog: usize,
    /// `BOOTSTRAP_DEADLINE`. What fails there is started again by the engine.
    pub deadline: f64,
    /// Whether what a start left is there for the next one: on a disk, and not on a tmpfs.
    pub resumes: bool,
    pub seed: u64,
}

impl Default for Scenario {
    /// One repository as documented: 9,700 connections with `ulimit -n 20000`, a queue of 4,096.
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

/// After so many seconds those that have nothing are taken to wait for ever.
const HORIZON: f64 = 7200.0;

/// What came of it. Times count from the moment at which the repository answers again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// In seconds, sorted: when each host had its artefact; infinite for those that never had.
    pub times: Vec<f64>,
    /// Connections that arrived at the origin in each second.
    pub arrivals: Vec<u64>,
    /// Bytes that left the origin.
    pub bytes: f64,
    /// Arrivals that found no room, and those that waited in vain.
    pub turned_away: u64,
    /// Starts that ended with 69, at the deadline.
    pub expired: u64,
}

impl Report {
    /// When so many in a hundred hosts had their artefact; `Duration::MAX` for never.
    ///
    /// # Panics
    ///
    /// Without hosts.
    pub fn until(&self, percent: usize) -> Duration {
        let rank = (self.times.len() * percent).div_ceil(100).max(1);
        Duration::try_from_secs_f64(self.times[rank - 1].max(0.0)).unwrap_or(Duration::MAX)
    }

    /// Arrivals in the busiest second.
    pub fn peak(&self) -> u64 {
        self.arrivals.iter().copied().max().unwrap_or_default()
    }

    /// Of all arrivals.
    pub fn share_turned_away(&self) -> f64 {
        let arrivals: u64 = self.arrivals.iter().sum();
        self.turned_away as f64 / arrivals.max(1) as f64
    }

    fn arrive(&mut self, second: f64) {
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

/// Without caches.
pub fn run(scenario: &Scenario) -> Report {
    let mut report = hosts::Herd::new(scenario).run();
    report.times.sort_by(f64::total_cmp);
    report
}

/// With a cache in front of each of so many equal sites, with a link of its own.
///
/// Each cache fetches the artefact once, as a host would; until it has it, its hosts are refused and try
/// again. Release documents are not kept by caches: all of them are asked of the origin, at the moment at which
/// a host asks its cache.
pub fn sites(scenario: &Scenario, sites: usize, link: f64) -> Report {
    let caches = Scenario {
        hosts: sites,
        host_link: link,
        ..scenario.clone()
    };
    let origin = hosts::Herd::new(&caches).run();
    let mut report = Report {
        times: Vec::new(),
        ..origin.clone()
    };
    for (number, filled) in origin.times.iter().enumerate() {
        let site = Scenario {
            hosts: scenario.hosts / sites,
            outage: scenario.outage + filled,
            repositories: 1,
            link,
            connections: usize::MAX,
            seed: scenario.seed + 1 + number as u64,
            ..scenario.clone()
        };
        let local = hosts::Herd::new(&site).run();
        report
            .times
            .extend(local.times.iter().map(|time| time + filled));
        for (second, arrivals) in local.arrivals.iter().enumerate() {
            for _ in 0..*arrivals {
                report.arrive(filled + second as f64);
            }
        }
        report.bytes += local.arrivals.iter().sum::<u64>() as f64 * scenario.document;
        report.expired += local.expired;
    }
    report.times.sort_by(f64::total_cmp);
    report
}
