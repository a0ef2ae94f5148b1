//! `HAProxy` as docs/loadbalancer.md configures it: replicas come and go, are taken off the name server or die, and
//! no request fails or is done twice.

mod replica;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use platformer_tests::dns::Dns;
use platformer_tests::http::{self, Response};
use platformer_tests::proxy::{Kind, Proxy};
use platformer_tests::run::eventually;
use platformer_tests::test;
use replica::{Replica, first};

const HOST: (&str, &str) = ("Host", "hello-world.localhost");

fn ask(address: SocketAddr, method: &str, path: &str) -> Option<Response> {
    http::try_request(address, method, path, &[HOST], b"")
}

/// Who answers.
fn who(address: SocketAddr) -> Option<String> {
    let answer = ask(address, "GET", "/").filter(|answer| answer.status == 200)?;
    Some(answer.text())
}

/// `names` are those who answer, all of them and nobody else.
fn eventually_only(address: SocketAddr, names: &[&str]) {
    let mut names = names.to_vec();
    names.sort_unstable();
    eventually(&format!("{names:?} answer, and nobody else"), || {
        let mut answers: Vec<String> = (0..12)
            .map(|_| {
                let answer = ask(address, "GET", "/");
                let status = answer.as_ref().map(|answer| answer.status);
                assert_eq!(status, Some(200), "every request is answered: {answer:?}");
                answer.expect("one with a status").text()
            })
            .collect();
        answers.sort_unstable();
        answers.dedup();
        answers == names
    });
}

fn not_available(address: SocketAddr) -> bool {
    let Some(answer) = ask(address, "GET", "/") else {
        return false;
    };
    let wait = answer.header("retry-after").map(str::to_owned);
    (answer.status, wait.as_deref()) == (503, Some("1"))
        && answer.text().contains("Try again in a moment")
}

/// Until it is told to stop: how many requests were made, and what failed.
fn load(address: SocketAddr, stop: &AtomicBool, posts: &AtomicU64) -> (u64, Vec<String>) {
    let (mut made, mut failed) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let number = posts.fetch_add(1, Ordering::Relaxed);
        for (method, path) in [("GET", "/".to_owned()), ("POST", format!("/{number}"))] {
            made += 1;
            match ask(address, method, &path).map(|answer| answer.status) {
                Some(200) => {}
                status => failed.push(format!("{method} {path}: {status:?}")),
            }
        }
    }
    (made, failed)
}

#[test]
fn haproxy_finds_replicas_by_their_name() {
    Kind::Haproxy.require();
    let dns = Dns::start("hello-world.apps.platform");
    let [one, two, three] = [2, 3, 4].map(|last| Ipv4Addr::new(127, 0, 0, last));
    let (a, port) = first(one, "a");
    let proxy = Proxy::load_balancer(dns.address, port);
    let address = proxy.address;
    eventually("nobody is there", || not_available(address));
    let other = http::request(address, "GET", "/", &[("Host", "other.localhost")], b"");
    assert_eq!(other.status, 404, "{}", proxy.log());

    dns.set(&[one]);
    eventually("it is found", || who(address).as_deref() == Some("a"));
    let (stop, posts) = (AtomicBool::new(false), AtomicU64::new(0));
    let made = std::thread::scope(|scope| {
        let loads = [(); 2].map(|()| scope.spawn(|| load(address, &stop, &posts)));
        // Whatever fails in here, the others must end.
        let change = scope.spawn(|| {
            let b = Replica::start(two, port, "b");
            dns.set(&[one, two]);
            eventually_only(address, &["a", "b"]);

            // As a deployment does it: out of the name server, then, when nobody asks it any more, stopped.
            dns.set(&[two]);
            eventually_only(address, &["b"]);
            a.stop();
            let c = Replica::start(three, port, "c");
            dns.set(&[two, three]);
            eventually_only(address, &["b", "c"]);

            // A replica that dies: its address stays for a while.
            b.stop();
            eventually_only(address, &["c"]);
            dns.set(&[three]);

            // A name server that is away changes nothing.
            dns.silent(true);
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(5) {
                assert_eq!(who(address).as_deref(), Some("c"));
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
        // Each POST was done once, whoever did it.
        let mut done = [a.posts(), b.posts(), c.posts()].concat();
        let count = done.len();
        done.sort_unstable();
        done.dedup();
        assert_eq!(done.len(), count, "a POST was done twice");
        assert_eq!(count as u64, posts.load(Ordering::Relaxed));
        results.iter().map(|(made, _)| made).sum::<u64>()
    });
    assert!(made > 100, "{made} requests");

    dns.set(&[]);
    eventually("nobody is there any more", || not_available(address));
}
