//! The cold-start herd, from 10 hosts to 100,000: arithmetic, the same on every machine.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]
#![allow(
    clippy::cast_precision_loss,
    reason = "a figure of that size is no worse for it"
)]

use std::time::Duration;

use platformer_tests::herd::{self, GBIT, MIB, Report, Scenario};

fn main() {
    let base = Scenario::default();
    println!(
        "\nAn artefact of 50 MiB and a document of 4 KiB; hosts with 1 Gbit/s start within {} s, the repository is away for {} s,",
        base.spread, base.outage
    );
    println!(
        "serves {} connections at once, has room for {} in its queue; the deadline is {} s. Times count from its return.\n",
        base.connections, base.backlog, base.deadline
    );
    println!(
        "{:>7}  {:<42}{:>8}{:>8}{:>8}{:>11}{:>11}{:>9}{:>9}",
        "hosts", "", "50 %", "99 %", "100 %", "peak, 1/s", "origin, GB", "in vain", "expired"
    );
    growing(&base);
    jitter(&base);
    links(&base);
    deadlines(&base);
    connections(&base);
    caches(&base);
    println!();
    println!("peak      connections at the origin in the busiest second");
    println!(
        "in vain   of these, in all: found no room, or waited in the queue for longer than bootstrap waits"
    );
    println!("expired   starts that ended with 69 at the deadline; the engine starts them again");
}

fn growing(base: &Scenario) {
    let slow = [10, 100, 1000].map(|hosts| (hosts, 1.0));
    let fast = [10, 100, 1000, 10_000, 100_000].map(|hosts| (hosts, 10.0));
    for (hosts, gbit) in slow.into_iter().chain(fast) {
        let scenario = Scenario {
            hosts,
            link: gbit * GBIT,
            ..base.clone()
        };
        let name = format!("one repository, {gbit} Gbit/s");
        row(hosts, &name, &herd::run(&scenario));
    }
    println!();
}

fn jitter(base: &Scenario) {
    for hosts in [10_000, 100_000] {
        for (jitter, name) in [(true, "1 MiB, full jitter"), (false, "1 MiB, no jitter")] {
            let scenario = Scenario {
                hosts,
                jitter,
                artefact: MIB,
                ..base.clone()
            };
            row(hosts, name, &herd::run(&scenario));
        }
    }
    println!();
}

fn links(base: &Scenario) {
    for (repositories, gbit) in [(2, 1.0), (5, 1.0), (2, 10.0), (5, 10.0)] {
        let scenario = Scenario {
            repositories,
            link: gbit * GBIT,
            ..base.clone()
        };
        let name = format!("repositories: {repositories}, with {gbit} Gbit/s each");
        row(base.hosts, &name, &herd::run(&scenario));
    }
    println!();
}

fn deadlines(base: &Scenario) {
    for (resumes, deadline) in [(true, 300.0), (false, 300.0), (false, 900.0)] {
        let scenario = Scenario {
            hosts: 10_000,
            resumes,
            deadline,
            ..base.clone()
        };
        let place = if resumes { "disk" } else { "tmpfs" };
        let name = format!("on a {place}, deadline {} min", deadline / 60.0);
        row(10_000, &name, &herd::run(&scenario));
    }
    println!();
}

fn connections(base: &Scenario) {
    for (connections, deadline) in [(9700, 900.0), (200, 300.0), (200, 900.0)] {
        let scenario = Scenario {
            hosts: 10_000,
            connections,
            deadline,
            ..base.clone()
        };
        let name = format!("at once: {connections}, deadline {} min", deadline / 60.0);
        row(10_000, &name, &herd::run(&scenario));
    }
    println!();
}

fn caches(base: &Scenario) {
    for hosts in [10_000, 100_000] {
        let scenario = Scenario {
            hosts,
            ..base.clone()
        };
        let caches = hosts / 1000;
        let name = format!("a cache per 1,000 hosts, 10 Gbit/s ({caches})");
        row(hosts, &name, &herd::sites(&scenario, caches, 10.0 * GBIT));
        let name = "a CDN: 20 places, 100 Gbit/s each";
        row(hosts, name, &herd::sites(&scenario, 20, 100.0 * GBIT));
    }
}

fn row(hosts: usize, name: &str, report: &Report) {
    println!(
        "{hosts:>7}  {name:<42}{:>8}{:>8}{:>8}{:>11}{:>11.1}{:>8.1}%{:>9}",
        seconds(report.percentile(50)),
        seconds(report.percentile(99)),
        seconds(report.percentile(100)),
        report.peak(),
        report.bytes / 1e9,
        100.0 * report.rejection_rate(),
        report.expired,
    );
}

fn seconds(time: Duration) -> String {
    if time == Duration::MAX {
        "never".to_owned()
    } else if time < Duration::from_mins(10) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{:.0} min", time.as_secs_f64() / 60.0)
    }
}
