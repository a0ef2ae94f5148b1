//! Replicas on one S3 store give the same guarantees as one server, even if requests to the store fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use platformer_tests::binaries;
use platformer_tests::ceph;
use platformer_tests::http::Response;
use platformer_tests::run::{self, eventually};
use platformer_tests::s3::{Fault, S3, proxy};
use platformer_tests::server::Server;

const REPLICAS: usize = 3;
const PUBLISHERS: usize = 64;

/// Runs a check with replicas on moto.
fn on_moto(check: impl Fn(&[Server])) {
    with_replicas(&[S3::moto()], check);
}

/// Runs a check with replicas on Ceph, through two gateways.
fn on_ceph(check: impl Fn(&[Server])) {
    with_replicas(&ceph::gateways(), check);
}

fn with_replicas(gateways: &[S3], check: impl Fn(&[Server])) {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("replicas-{}", RUNS.fetch_add(1, Ordering::Relaxed));
    let replicas: Vec<Server> = gateways
        .iter()
        .cycle()
        .take(REPLICAS)
        .map(|gateway| Server::start_on(gateway, &prefix, &[]))
        .collect();
    check(&replicas);
}

/// Sends `PUBLISHERS` concurrent requests to all replicas, and returns the responses.
fn race(replicas: &[Server], request: impl Fn(&Server, usize) -> Response + Sync) -> Vec<Response> {
    let responses = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let (request, responses) = (&request, &responses);
            let server = &replicas[publisher % replicas.len()];
            scope.spawn(move || {
                let response = request(server, publisher);
                responses.lock().unwrap().insert(publisher, response);
            });
        }
    });
    responses.into_inner().unwrap().into_values().collect()
}

fn count(responses: &[Response], status: u16) -> usize {
    responses
        .iter()
        .filter(|response| response.status == status)
        .count()
}

#[test]
fn one_of_many_publishers_on_three_replicas_wins() {
    on_moto(check_publishers);
}

#[test]
fn one_of_many_publishers_on_three_replicas_wins_on_ceph() {
    on_ceph(check_publishers);
}

fn check_publishers(replicas: &[Server]) {
    for round in 0..3 {
        let path = format!("/artefacts/hello/1.0.{round}/f");
        let responses = race(replicas, |server, publisher| {
            server.put(&path, format!("from {publisher}"))
        });
        let counts = (count(&responses, 201), count(&responses, 409));
        assert_eq!(counts, (1, PUBLISHERS - 1));
        let winner = responses.iter().position(|response| response.status == 201);
        for server in replicas {
            let content = server.get(&path).text();
            assert_eq!(content, format!("from {}", winner.unwrap()));
        }
    }
    // Concurrent uploads of different versions: none is lost.
    let responses = race(replicas, |server, publisher| {
        server.put(&format!("/artefacts/hello/2.0.{publisher}/f"), "x")
    });
    assert_eq!(count(&responses, 201), PUBLISHERS);
    for server in replicas {
        let listed = server.get("/artefacts/hello/").json();
        assert_eq!(listed["versions"].as_array().unwrap().len(), PUBLISHERS + 3);
    }
}

#[test]
fn concurrent_writes_of_config_and_channels_lose_nothing() {
    on_moto(check_writers);
}

#[test]
fn concurrent_writes_of_config_and_channels_lose_nothing_on_ceph() {
    on_ceph(check_writers);
}

fn check_writers(replicas: &[Server]) {
    replicas[0].publish("/artefacts/hello/1.0.0/f", "x");
    let tags = |responses: &[Response]| {
        let tags = responses.iter().filter(|response| response.status == 201);
        let tags: BTreeSet<String> = tags
            .map(|response| response.header("etag").unwrap().to_owned())
            .collect();
        tags.len()
    };
    let responses = race(replicas, |server, publisher| {
        server.put("/config/hello/hello.config", format!("A={publisher}\n"))
    });
    assert_eq!(
        tags(&responses),
        PUBLISHERS,
        "each write makes a generation"
    );
    let newest = replicas[1].get("/config/hello/hello.config");
    assert_eq!(newest.header("etag"), Some("\"g64\""));
    let responses = race(replicas, |server, _| {
        let headers = [("If-Match", "\"g64\"")];
        server.request("PUT", "/config/hello/hello.config", &headers, b"B=1\n")
    });
    let counts = (
        count(&responses, 201),
        count(&responses, 412),
        count(&responses, 200),
    );
    assert_eq!(
        counts,
        (1, PUBLISHERS - 1, 0),
        "one of the writes with the same condition wins"
    );

    // Each publisher writes a config and releases it. Each release has its own number.
    let responses = race(replicas, |server, publisher| {
        let layer = format!("/config/hello/e{publisher}.config");
        assert_eq!(server.put(&layer, "A=1\n").status, 201);
        server.put("/channels/hello/stable", "1.0.0")
    });
    let created: BTreeSet<String> = responses.iter().map(Response::text).collect();
    assert!(
        responses
            .iter()
            .all(|response| matches!(response.status, 200 | 201))
    );
    let history = |server: &Server| server.get("/channels/hello/stable/history").text();
    let listed = |server: &Server| server.get("/releases/hello/").json()["releases"].clone();
    let releases = listed(&replicas[0]).as_array().unwrap().len();
    assert!(created.len() <= releases, "{created:?}");
    for server in replicas {
        assert_eq!(history(server), history(&replicas[0]));
        assert_eq!(listed(server), listed(&replicas[0]));
    }
    let newest = replicas[2].get("/releases/hello/stable").text();
    assert_eq!(
        newest.matches("\\\"layer\\\":\\\"e").count(),
        PUBLISHERS,
        "{newest}"
    );
}

#[test]
fn a_write_to_one_replica_is_visible_on_all() {
    on_moto(check_readers);
}

#[test]
fn a_write_to_one_replica_is_visible_on_all_on_ceph() {
    on_ceph(check_readers);
}

fn check_readers(replicas: &[Server]) {
    for round in 0..10 {
        let at = |step: usize| &replicas[(round + step) % REPLICAS];
        let version = format!("1.0.{round}");
        let path = format!("/artefacts/hello/{version}/f");
        at(0).publish(&path, &version);
        assert_eq!(at(1).get(&path).text(), version);
        at(2).publish("/config/hello/hello.config", format!("A={round}\n"));
        at(1).publish("/channels/hello/stable", &version);
        let document = at(0).get("/releases/hello/stable").json();
        assert!(document["statement"].as_str().unwrap().contains(&version));
        assert_eq!(document["config"][0]["content"], format!("A={round}\n"));
        let latest = at(2).get("/releases/hello/latest").text();
        assert!(latest.contains(&version), "{latest}");
        if round > 0 {
            let before = format!("/artefacts/hello/1.0.{}", round - 1);
            let purge = format!("{before}?purge=true");
            assert_eq!(at(1).get(&format!("{before}/f")).status, 200);
            assert_eq!(at(0).request("DELETE", &purge, &[], b"").status, 204);
            // Servers cache immutable data for about a second.
            eventually("all replicas answer 410", || {
                at(1).get(&format!("{before}/f")).status == 410
            });
            assert_eq!(at(2).put(&format!("{before}/f"), "again").status, 410);
        }
    }
}

#[test]
fn a_store_that_ignores_conditions_is_refused() {
    let store = S3::moto();
    let conditional = AtomicU32::new(0);
    let all_win = proxy(store.address, |_| Fault::IgnoreCondition);
    let some_win = proxy(store.address, move |request| {
        let is_third =
            request.is_conditional() && conditional.fetch_add(1, Ordering::Relaxed) % 12 == 3;
        if is_third {
            Fault::IgnoreCondition
        } else {
            Fault::None
        }
    });
    for (address, winners) in [(all_win, "32 of 32"), (some_win, "of 32")] {
        let environment = store.at_address(address).environment("refused");
        run::spawn::<&str>(&binaries::repository(), &[], &environment)
            .wait()
            .expect(1)
            .says("s3://bucket/refused cannot hold a repository")
            .says(winners)
            .says("If-None-Match");
    }
}

/// Ceph ignores conditions on versioned buckets.
#[test]
fn a_versioned_bucket_of_ceph_is_refused() {
    let gateways = ceph::gateways();
    let environment = gateways[0].environment_with_bucket("versioned", "");
    run::spawn::<&str>(&binaries::repository(), &[], &environment)
        .wait()
        .expect(1)
        .says("s3://versioned/ cannot hold a repository")
        .says("versioned buckets");
}

/// If the answer of the store is lost, the server reads back whether the write succeeded.
#[test]
fn lost_answers_are_resolved_by_reading_back() {
    let store = S3::moto();
    let requests = AtomicU32::new(0);
    let faulty_store = proxy(store.address, move |request| {
        let number = requests.fetch_add(1, Ordering::Relaxed);
        match number % 7 {
            // The check at the start must see a correct store.
            _ if request.head.contains("/proofs/") => Fault::None,
            2 => Fault::DropAnswer,
            4 => Fault::DropRequest,
            5 => Fault::Busy,
            _ => Fault::None,
        }
    });
    let faulty = store.at_address(faulty_store);
    let server = Server::start_on(&faulty, "lost", &[]);
    let reference = Server::start_on(&store, "lost", &[]);
    for version in 0..25 {
        let path = format!("/artefacts/hello/1.0.{version}/f");
        let bytes = format!("bytes of {version}");
        let published = server.put(&path, &bytes);
        assert_eq!(published.status, 201, "{}", published.text());
        assert_eq!(reference.get(&path).text(), bytes);
        let released = server.put("/channels/hello/stable", format!("1.0.{version}"));
        assert_eq!(released.text(), format!("r{}\n", version + 1));
    }
    let history = reference.get("/channels/hello/stable/history").json();
    assert_eq!(history["history"].as_array().unwrap().len(), 25);
}
