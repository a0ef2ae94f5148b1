//! `bakery` and `bakery-web`: state on a volume, and pages that work while the bakery is down.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use platformer_tests::browser::Browser;
use platformer_tests::docker::{self, Sample, Volume};
use platformer_tests::http::{self, Response};
use platformer_tests::run::eventually;

use super::{Platform, stop_cleanly};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");

fn order(address: SocketAddr, name: &str) -> Response {
    let body = format!("bread=rye&pieces=2&name={name}");
    http::request(address, "POST", "/orders", &[FORM], body.as_bytes())
}

/// Returns the option that mounts the volume of the config.
fn mount(volume: &Volume) -> String {
    let sample = Sample::packed("bakery");
    let (_, target) = sample.value("VOLUMES").split_once(':').unwrap();
    format!("{}:{target}", volume.0)
}

#[test]
fn orders_survive_replaced_and_killed_containers() {
    docker::require_images();
    let platform = Platform::with(&["bakery"]);
    let volume = Volume::new();
    let mount = mount(&volume);
    let old = platform.deploy("bakery", &["--volume", &mount]);
    // As during a deploy, two containers take orders at the same time.
    let new = platform.deploy("bakery", &["--volume", &mount]);
    let ports = [old.port("8080"), new.port("8080")];
    let numbers: BTreeSet<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..40)
            .map(|n| scope.spawn(move || order(ports[n % 2], &format!("customer-{n}"))))
            .collect();
        let answers = threads.into_iter().map(|thread| thread.join().unwrap());
        answers
            .map(|answer| {
                assert_eq!(answer.status, 201, "{}", answer.text());
                answer.json()["number"].as_u64().unwrap()
            })
            .collect()
    });
    assert_eq!(numbers, (1..=40).collect());
    let identity = http::get(ports[0], "/orders");
    let identity = identity.header("x-platform-app").unwrap();
    assert!(identity.starts_with("bakery 1.0.0 "), "{identity}");

    // An order that is open when the container stops is finished.
    let body = "bread=spelt&name=late";
    let mut late = TcpStream::connect(ports[0]).unwrap();
    let head = format!(
        "POST /orders HTTP/1.1\r\nHost: x\r\n{}: {}\r\nContent-Length: {}\r\n\r\n{}",
        FORM.0,
        FORM.1,
        body.len(),
        &body[..5]
    );
    late.write_all(head.as_bytes()).unwrap();
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| stop_cleanly(&old));
        eventually("the app accepts no new connections", || {
            TcpStream::connect(ports[0]).is_err()
                || http::try_request(ports[0], "GET", "/status", &[], b"").is_none()
        });
        late.write_all(&body.as_bytes()[5..]).unwrap();
        assert_eq!(http::read(&mut late, false).status, 201);
        stop.join().unwrap();
    });

    // A killed container leaves half an order in the file. The next order is complete, and none is lost.
    docker::succeed(&["kill", &new.0]);
    let script = "printf '{\"number\":4' >>/var/lib/app/orders.jsonl";
    docker::run_with_volume(&mount, &["sh", "-c", script]);
    let next = platform.deploy("bakery", &["--volume", &mount]);
    let address = next.port("8080");
    assert_eq!(http::get(address, "/orders").json()["count"], 41);
    assert_eq!(order(address, "Ada%20%22%C3%A9%22").json()["number"], 42);
    let orders = http::get(address, "/orders").json();
    assert_eq!(orders["count"], 42);
    assert_eq!(orders["latest"][0]["name"], "Ada \"é\"");
    assert_eq!(orders["latest"][1]["name"], "late");

    for (body, status) in [
        ("bread=stone&name=x", 422),
        ("bread=rye", 422),
        ("bread=rye&name=x&pieces=0", 422),
        ("bread=%zz", 400),
    ] {
        let answer = http::request(address, "POST", "/orders", &[FORM], body.as_bytes());
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.json()["detail"].is_string());
    }
}

#[test]
fn the_pages_work_while_the_bakery_is_down() {
    docker::require_images();
    let platform = Platform::with(&["bakery", "bakery-web"]);
    let web = platform.deploy("bakery-web", &[]);
    let address = web.port("8080");
    let pages_work = || {
        for (path, kind) in [("/", "text/html"), ("/style.css", "text/css")] {
            let page = http::get(address, path);
            assert_eq!(page.status, 200, "{path}");
            assert!(page.header("content-type").unwrap().starts_with(kind));
        }
    };
    let is_closed = || {
        let answer = order(address, "Ada");
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.header("retry-after"), Some("3"));
        assert!(answer.json()["detail"].is_string());
        let page = http::request(address, "POST", "/orders", &[FORM, BROWSER], b"bread=rye");
        assert_eq!(page.status, 503);
        assert_eq!(page.header("retry-after"), Some("3"));
        assert!(page.text().contains("We take orders again in a moment"));
    };
    pages_work();
    is_closed();
    assert_eq!(http::get(address, "/nginx.conf").status, 404);
    assert_eq!(http::get(address, "/answers/closed.json").status, 404);

    let volume = Volume::new();
    let bakery = platform.deploy("bakery", &["--volume", &mount(&volume)]);
    eventually("nginx finds the bakery", || {
        http::get(address, "/orders").status == 200
    });
    let answer = order(address, "Ada");
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(answer.header("x-platform-app").is_some());
    // A form that is sent without the script returns to the page.
    let body = b"bread=rye&pieces=1&name=Bo";
    let answer = http::request(address, "POST", "/orders", &[FORM, BROWSER], body);
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/#thanks"))
    );

    stop_cleanly(&bakery);
    pages_work();
    is_closed();
    docker::succeed(&["start", &bakery.0]);
    eventually("nginx finds the restarted bakery, with its orders", || {
        let answer = http::get(address, "/orders");
        answer.status == 200 && answer.json()["count"] == 2
    });
    stop_cleanly(&web);
}

#[test]
fn the_page_takes_orders_and_shows_when_the_bakery_is_down() {
    docker::require_images();
    let browser = Browser::start((800, 1000), false);
    let platform = Platform::with(&["bakery", "bakery-web"]);
    let web = platform.deploy("bakery-web", &[]);
    browser.open(&format!("http://{}/", web.port("8080")));
    browser.shows("We take orders again in a moment");
    browser.click("input[value=rye]");
    browser.write("input[name=name]", "Ada <b>");
    browser.click("button");
    browser.shows("Nothing was ordered");
    let volume = Volume::new();
    let _bakery = platform.deploy("bakery", &["--volume", &mount(&volume)]);
    browser.shows("We take orders again.");
    // The form keeps its values.
    browser.click("button");
    browser.shows("Thank you, Ada <b>. Your order number is 1.");
    browser.shows("1 × rye for Ada <b>");
}
