//! `HAProxy`, configured as in docs/loadbalancer.md: while replicas start, drain and crash, no request fails or runs
//! twice.

mod replica;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use platformer_tests::dns::Dns;
use platformer_tests::http::{self, Response};
use platformer_tests::proxy::{Kind, Proxy};
use platformer_tests::run::eventually;
use replica::{Replica, first};

const HOST: (&str, &str) = ("Host", "hello-world.localhost");

fn request(address: SocketAddr, method: &str, path: &str) -> Option<Response> {
    http::try_request(address, method, path, &[HOST], b"")
}

/// Returns the name of the replica that answers.
fn replica_name(address: SocketAddr) -> Option<String> {
    let answer = request(address, "GET", "/").filter(|answer| answer.status == 200)?;
    Some(answer.text())
}

/// Waits until exactly the replicas `names` answer.
fn wait_for_replicas(address: SocketAddr, names: &[&str]) {
    let mut names = names.to_vec();
    names.sort_unstable();
    eventually(&format!("exactly {names:?} answer"), || {
        let mut answers: Vec<String> = (0..12)
            .map(|_| {
                let answer = request(address, "GET", "/");
                let status = answer.as_ref().map(|answer| answer.status);
                assert_eq!(status, Some(200), "a request failed: {answer:?}");
                answer.expect("a response").text()
            })
            .collect();
        answers.sort_unstable();
        answers.dedup();
        answers == names
    });
}

fn is_unavailable(address: SocketAddr) -> bool {
    let Some(answer) = request(address, "GET", "/") else {
        return false;
    };
    let wait = answer.header("retry-after").map(str::to_owned);
    (answer.status, wait.as_deref()) == (503, Some("1"))
        && answer.text().contains("Try again in a moment")
}

/// Sends requests until `stop` is set. Returns their number and the failures.
fn load(address: SocketAddr, stop: &AtomicBool, posts: &AtomicU64) -> (u64, Vec<String>) {
    let (mut count, mut failed) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let number = posts.fetch_add(1, Ordering::Relaxed);
        for (method, path) in [("GET", "/".to_owned()), ("POST", format!("/{number}"))] {
            count += 1;
            match request(address, method, &path).map(|answer| answer.status) {
                Some(200) => {}
                status => failed.push(format!("{method} {path}: {status:?}")),
            }
        }
    }
    (count, failed)
}

#[test]
fn haproxy_follows_the_replicas_in_dns() {
    Kind::Haproxy.require();
    let dns = Dns::start("hello-world.apps.platform");
    let [one, two, three] = [2, 3, 4].map(|last| Ipv4Addr::new(127, 0, 0, last));
    let (a, port) = first(one, "a");
    let proxy = Proxy::load_balancer(dns.address, port);
    let address = proxy.address;
    eventually("no replica is available", || is_unavailable(address));
    let other = http::request(address, "GET", "/", &[("Host", "other.localhost")], b"");
    assert_eq!(other.status, 404, "{}", proxy.log());

    dns.set(&[one]);
    eventually("the replica is found", || {
        replica_name(address).as_deref() == Some("a")
    });
    let (stop, posts) = (AtomicBool::new(false), AtomicU64::new(0));
    let requests = std::thread::scope(|scope| {
        let loads = [(); 2].map(|()| scope.spawn(|| load(address, &stop, &posts)));
        // In a thread, so that a failed assertion still ends the load.
        let change = scope.spawn(|| {
            let b = Replica::start(two, port, "b");
            dns.set(&[one, two]);
            wait_for_replicas(address, &["a", "b"]);

            // As a deploy does: remove the replica from DNS, then stop it once it gets no requests.
            dns.set(&[two]);
            wait_for_replicas(address, &["b"]);
            a.stop();
            let c = Replica::start(three, port, "c");
            dns.set(&[two, three]);
            wait_for_replicas(address, &["b", "c"]);

            // A crashed replica stays in DNS for a while.
            b.stop();
            wait_for_replicas(address, &["c"]);
            dns.set(&[three]);

            // An outage of the name server changes nothing.
            dns.silent(true);
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(5) {
                assert_eq!(replica_name(address).as_deref(), Some("c"));
            }
            dns.silent(false);
            (b, c)
        });
        let replicas = change.join();
        stop.store(true, Ordering::Relaxed);
        let results = loads.map(|load| load.join().unwrap());
        let (b, c) = replicas.unwrap_or_else(|_| panic!("{results:?}: {}", proxy.log()));
        let failed: Vec<String> = results
            .iter()
            .flat_map(|(_, failed)| failed.clone())
            .collect();
        assert!(failed.is_empty(), "{failed:?}: {}", proxy.log());
        // Each POST ran once, on any replica.
        let mut posted = [a.posts(), b.posts(), c.posts()].concat();
        let count = posted.len();
        posted.sort_unstable();
        posted.dedup();
        assert_eq!(posted.len(), count, "a POST ran twice");
        assert_eq!(count as u64, posts.load(Ordering::Relaxed));
        results.iter().map(|(count, _)| count).sum::<u64>()
    });
    assert!(requests > 100, "{requests} requests");

    dns.set(&[]);
    eventually("no replica is available again", || is_unavailable(address));
}
