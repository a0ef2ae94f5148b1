//! Simulated cold starts of 10 to 100,000 hosts. The results are the same on every machine.
#![allow(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::cast_precision_loss, reason = "the figures are small")]

use std::time::Duration;

use platformer_tests::herd::{self, GBIT, MIB, Report, Scenario};

fn main() {
    let base = Scenario::default();
    println!(
        "\nArtefact: 50 MiB, document: 4 KiB. Hosts with 1 Gbit/s start within {} s. The repository is down for {} s,",
        base.spread, base.outage
    );
    println!(
        "and serves {} connections, with {} more in its queue. The deadline is {} s. Times count from the end of the outage.\n",
        base.connections, base.backlog, base.deadline
    );
    println!(
        "{:>7}  {:<42}{:>8}{:>8}{:>8}{:>11}{:>11}{:>9}{:>9}",
        "hosts", "", "50 %", "99 %", "100 %", "peak, 1/s", "origin, GB", "rejected", "expired"
    );
    vary_hosts(&base);
    vary_jitter(&base);
    vary_links(&base);
    vary_deadlines(&base);
    vary_connections(&base);
    add_caches(&base);
    println!();
    println!("peak      connections to the origin in the busiest second");
    println!(
        "rejected  connections that found no room, or waited in the queue longer than the timeout of bootstrap"
    );
    println!("expired   starts that exited with 69 at the deadline; the engine restarts them");
}

fn vary_hosts(base: &Scenario) {
    let slow = [10, 100, 1000].map(|hosts| (hosts, 1.0));
    let fast = [10, 100, 1000, 10_000, 100_000].map(|hosts| (hosts, 10.0));
    for (hosts, gbit) in slow.into_iter().chain(fast) {
        let scenario = Scenario {
            hosts,
            link: gbit * GBIT,
            ..base.clone()
        };
        let name = format!("one repository, {gbit} Gbit/s");
        print_row(hosts, &name, &herd::run(&scenario));
    }
    println!();
}

fn vary_jitter(base: &Scenario) {
    for hosts in [10_000, 100_000] {
        for (jitter, name) in [(true, "1 MiB, full jitter"), (false, "1 MiB, no jitter")] {
            let scenario = Scenario {
                hosts,
                jitter,
                artefact: MIB,
                ..base.clone()
            };
            print_row(hosts, name, &herd::run(&scenario));
        }
    }
    println!();
}

fn vary_links(base: &Scenario) {
    for (repositories, gbit) in [(2, 1.0), (5, 1.0), (2, 10.0), (5, 10.0)] {
        let scenario = Scenario {
            repositories,
            link: gbit * GBIT,
            ..base.clone()
        };
        let name = format!("repositories: {repositories}, with {gbit} Gbit/s each");
        print_row(base.hosts, &name, &herd::run(&scenario));
    }
    println!();
}

fn vary_deadlines(base: &Scenario) {
    for (resumes, deadline) in [(true, 300.0), (false, 300.0), (false, 900.0)] {
        let scenario = Scenario {
            hosts: 10_000,
            resumes,
            deadline,
            ..base.clone()
        };
        let place = if resumes { "disk" } else { "tmpfs" };
        let name = format!("on a {place}, deadline {} min", deadline / 60.0);
        print_row(10_000, &name, &herd::run(&scenario));
    }
    println!();
}

fn vary_connections(base: &Scenario) {
    for (connections, deadline) in [(9700, 900.0), (200, 300.0), (200, 900.0)] {
        let scenario = Scenario {
            hosts: 10_000,
            connections,
            deadline,
            ..base.clone()
        };
        let name = format!(
            "connections: {connections}, deadline {} min",
            deadline / 60.0
        );
        print_row(10_000, &name, &herd::run(&scenario));
    }
    println!();
}

fn add_caches(base: &Scenario) {
    for hosts in [10_000, 100_000] {
        let scenario = Scenario {
            hosts,
            ..base.clone()
        };
        let caches = hosts / 1000;
        let name = format!("a cache per 1,000 hosts, 10 Gbit/s ({caches})");
        print_row(hosts, &name, &herd::sites(&scenario, caches, 10.0 * GBIT));
        let name = "a CDN: 20 sites, 100 Gbit/s each";
        print_row(hosts, name, &herd::sites(&scenario, 20, 100.0 * GBIT));
    }
}

fn print_row(hosts: usize, name: &str, report: &Report) {
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
