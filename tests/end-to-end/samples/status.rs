//! `status`: shows which apps are up.

use platformer_tests::docker::{self, Sample};
use platformer_tests::http::{self, Response};
use platformer_tests::run::eventually;
use serde_json::Value;

use super::{Platform, stop_cleanly};

fn app(answer: &Response, name: &str) -> Value {
    let apps = answer.json()["apps"].take();
    let mut apps = apps.as_array().unwrap().iter();
    apps.find(|app| app["app"] == name).unwrap().clone()
}

#[test]
fn status_shows_which_apps_are_up_and_which_are_down() {
    docker::require_images();
    let platform = Platform::with(&["status", "hello-world"]);
    let status = platform.deploy("status", &[]);
    let address = status.port("8080");
    let answer = http::get(address, "/");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let identity = answer.header("x-platform-app").unwrap();
    assert!(identity.starts_with("status 1.0.0 "), "{identity}");
    for down in ["hello-world", "bakery", "bakery-web"] {
        assert_eq!(app(&answer, down)["up"], false, "{}", answer.text());
    }

    let hello = platform.start("hello-world", "platformer/app-base:static", &[]);
    let state = || app(&http::get(address, "/"), "hello-world");
    eventually("hello-world is up", || state()["up"] == true);
    let version = Sample::packed("hello-world").version;
    assert_eq!(state()["release"], version.as_str());
    assert_eq!(
        state()["replica"],
        hello.inspect("{{.Config.Hostname}}").as_str()
    );

    // A browser gets a table. HEAD works, too.
    let accept = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let page = http::request(address, "GET", "/", &accept, b"");
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    assert!(page.text().contains(">up</td>"), "{}", page.text());
    assert!(page.text().contains(">down</td>"), "{}", page.text());
    assert_eq!(
        http::request(address, "HEAD", "/", &accept, b"").status,
        200
    );

    // An app that hangs is down, and does not delay the page.
    docker::succeed(&["pause", &hello.0]);
    eventually("hello-world is down", || state()["up"] == false);
    assert_eq!(http::get(address, "/status").text(), "ok\n");
    docker::succeed(&["unpause", &hello.0]);
    eventually("hello-world is up again", || state()["up"] == true);
    stop_cleanly(&status);
}
