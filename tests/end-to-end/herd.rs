//! The herd simulation agrees with calculations by hand, and with a real run of twenty bootstrap processes against a
//! repository with limited bandwidth.

use std::time::{Duration, Instant};

use platformer_tests::dice::Dice;
use platformer_tests::fixture::Bootstrap;
use platformer_tests::herd::{self, GBIT, MIB, Scenario};
use platformer_tests::relay::Relay;
use platformer_tests::server::Server;

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn hosts(hosts: usize) -> Scenario {
    Scenario {
        hosts,
        ..Scenario::default()
    }
}

#[test]
fn one_host_is_as_fast_as_its_link() {
    let alone = Scenario {
        outage: 0.0,
        spread: 0.0,
        ..hosts(1)
    };
    let duration = seconds(herd::run(&alone).percentile(100));
    let expected = (alone.artefact + alone.document) / alone.host_link;
    assert!(
        (duration - expected).abs() < 1e-6,
        "{duration} for {expected}"
    );
}

#[test]
fn no_herd_is_faster_than_the_bandwidth_allows() {
    for (count, repositories, link) in [
        (100, 1, GBIT),
        (1000, 1, 10.0 * GBIT),
        (1000, 2, 10.0 * GBIT),
        (1000, 5, GBIT),
        (3000, 5, 10.0 * GBIT),
    ] {
        let scenario = Scenario {
            repositories,
            link,
            ..hosts(count)
        };
        let report = herd::run(&scenario);
        let bytes =
            (scenario.artefact + scenario.document) * f64::from(u32::try_from(count).unwrap());
        let least = bytes / (link * f64::from(u32::try_from(repositories).unwrap()));
        let duration = seconds(report.percentile(100));
        assert!(
            duration >= least * 0.999,
            "{count}: {duration} s, at least {least} s"
        );
        // The last host retries within the cap of the back-off, and the hosts spread unevenly over the repositories.
        assert!(
            duration <= least * 1.25 + 10.0,
            "{count}: {duration} s, at least {least} s"
        );
        assert_eq!(report.times.len(), count);
        // Resumed bytes are sent once. Documents are sent again.
        assert!(report.bytes >= bytes * 0.999, "{} of {bytes}", report.bytes);
        assert!(report.bytes <= bytes * 1.01, "{} of {bytes}", report.bytes);
    }
}

#[test]
fn jitter_spreads_the_retries() {
    let small = Scenario {
        artefact: MIB,
        ..hosts(1000)
    };
    let jitter = herd::run(&small).peak();
    let none = herd::run(&Scenario {
        jitter: false,
        ..small
    })
    .peak();
    // Without jitter, all hosts retry within the spread of their start, which falls into two seconds.
    assert!(none >= 500, "{none} a second");
    assert!(jitter <= 250, "{jitter} a second");
}

#[test]
fn a_host_resumes_after_its_deadline() {
    // The link needs two deadlines for all bytes.
    let slow = Scenario {
        link: GBIT,
        deadline: 10.0,
        outage: 0.0,
        ..hosts(50)
    };
    let report = herd::run(&slow);
    assert!(report.expired >= 50, "{} starts", report.expired);
    let bytes = 50.0 * (slow.artefact + slow.document);
    assert!(report.bytes < bytes * 1.01, "{} of {bytes}", report.bytes);
    assert!(seconds(report.percentile(100)) < bytes / GBIT * 1.1);
    // Without resuming, no host finishes: none gets the whole artefact within its deadline.
    let forgetful = Scenario {
        resumes: false,
        spread: 0.0,
        ..slow
    };
    assert_eq!(herd::run(&forgetful).percentile(50), Duration::MAX);
}

#[test]
fn a_full_repository_rejects_hosts_which_retry() {
    let crowded = Scenario {
        connections: 10,
        backlog: 10,
        ..hosts(1000)
    };
    let report = herd::run(&crowded);
    assert!(report.rejected > 0);
    assert!(report.rejection_rate() < 1.0);
    assert_eq!(report.times.len(), 1000);
    assert!(report.times.iter().all(|time| *time > 0.0));
}

#[test]
fn a_cache_relieves_the_origin() {
    let scenario = hosts(10_000);
    let without = herd::run(&scenario);
    let with = herd::sites(&scenario, 10, 10.0 * GBIT);
    assert_eq!(with.times.len(), 10_000);
    // Ten artefacts, and one document per attempt of a host.
    let artefacts = 10.0 * (scenario.artefact + scenario.document);
    assert!(
        with.bytes > artefacts && with.bytes < artefacts * 1.2,
        "{}",
        with.bytes
    );
    assert!(with.bytes * 500.0 < without.bytes);
    assert!(with.percentile(100) * 5 < without.percentile(100));
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let one = herd::run(&hosts(500));
    assert_eq!(one, herd::run(&hosts(500)));
    let other = Scenario {
        seed: 2,
        ..hosts(500)
    };
    assert_ne!(one, herd::run(&other));
}

/// Compares twenty real processes with fifty simulations of them.
#[test]
fn real_hosts_take_as_long_as_simulated_ones() {
    const COUNT: usize = 20;
    const OUTAGE: Duration = Duration::from_secs(2);
    let bytes_per_second = 8.0 * MIB;
    let artefact = Dice::new(1).noise(2 << 20);
    let (_storage, server) = Server::fresh();
    server.publish("/artefacts/hello/1.0.0/hello", &artefact);
    server.publish("/config/hello/hello.config", "STARTUP_COMMAND=./hello\n");
    let relay = Relay::closed();
    let address = relay.address.to_string();
    let begin = Instant::now();
    let started: Vec<_> = (0..COUNT)
        .map(|_| {
            let process = Bootstrap::with(&["fetch", "hello", &address]).spawn();
            std::thread::spawn(move || {
                let ended = process.wait();
                ended.expect(0);
                (begin.elapsed(), ended.stderr)
            })
        })
        .collect();
    let spread = begin.elapsed();
    std::thread::sleep(OUTAGE.saturating_sub(begin.elapsed()));
    let opened = begin.elapsed();
    relay.open(server.address, bytes_per_second);
    let ended: Vec<_> = started
        .into_iter()
        .map(|process| process.join().unwrap())
        .collect();
    for (_, log) in &ended {
        assert!(
            log.contains("attempt 2 in"),
            "the first attempt was refused: {log}"
        );
    }
    let mut durations: Vec<f64> = ended
        .iter()
        .map(|(time, _)| seconds(time.saturating_sub(opened)))
        .collect();
    durations.sort_by(f64::total_cmp);

    let simulated: Vec<_> = (0..50)
        .map(|seed| {
            herd::run(&Scenario {
                artefact: 2.0 * MIB,
                spread: seconds(spread),
                outage: seconds(opened),
                link: bytes_per_second,
                seed,
                ..hosts(COUNT)
            })
        })
        .collect();
    for (percent, found) in [(50, durations[COUNT / 2 - 1]), (100, durations[COUNT - 1])] {
        let times = simulated
            .iter()
            .map(|report| seconds(report.percentile(percent)));
        let (least, most) = times.fold((f64::MAX, 0.0_f64), |(least, most), time| {
            (least.min(time), most.max(time))
        });
        // Tolerance for the start of the processes on a busy machine.
        assert!(
            found > least * 0.9 && found < most * 1.15 + 0.3,
            "{percent} %: {found:.2} s, simulated {least:.2} s to {most:.2} s"
        );
    }
}
