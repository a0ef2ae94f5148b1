//! Simulates a cold start of many hosts that fetch one artefact at the same time, after an outage of their repository.
//!
//! 1. [`Scenario`] describes hosts, artefact, repositories and links.
//! 2. [`run`] processes events in order of time. The back-off is the source file of bootstrap.
//! 3. `origin` models a repository: a shared link, a limit of connections, and a queue.
//! 4. [`Report`] tells when the hosts had the artefact, and the load on the origin.
//! 5. [`sites`] adds a cache per site.
//!
//! The model ignores TCP slow start and packet loss, CPU time (hashing, TLS, a thousand requests a second), the disks
//! and S3 behind a repository, DNS, differences between hosts, and other traffic.
#![allow(
    clippy::cast_precision_loss,
    reason = "counts and bytes are far below 2^52"
)]

#[path = "../../bootstrap/src/repository/backoff.rs"]
mod backoff;
mod events;
mod hosts;
mod origin;
mod scenario;

pub use scenario::{GBIT, MIB, Report, Scenario};

/// Simulates hosts that fetch from the origin directly.
pub fn run(scenario: &Scenario) -> Report {
    let mut report = hosts::Herd::new(scenario).run();
    report.times.sort_by(f64::total_cmp);
    report
}

/// Simulates equal sites with a cache each, where `link` is the bandwidth of a cache.
///
/// A cache fetches the artefact once, as a host would. Until then it refuses its hosts, which retry. Caches don't store
/// release documents: each request for one goes to the origin.
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
