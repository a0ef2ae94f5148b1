//! The console without a browser: pages, forms and escaping.

mod access;

use platformer_tests::http::Response;
use platformer_tests::server::Server;

const PAGE: (&str, &str) = ("Accept", "text/html,application/xhtml+xml");

fn page(server: &Server, path: &str) -> Response {
    server.request("GET", path, &[PAGE], b"")
}

fn origin(server: &Server) -> String {
    format!("http://{}", server.address)
}

/// Sends a form as a page of the console does, with more headers.
fn send(server: &Server, path: &str, more: &[(&str, &str)], body: &str) -> Response {
    let origin = origin(server);
    let headers = [&[("Origin", origin.as_str()), PAGE][..], more].concat();
    server.request("POST", path, &headers, body.as_bytes())
}

fn fill(server: &Server) {
    for version in ["1.0.0", "1.1.0"] {
        server.publish(&format!("/artefacts/hello/{version}/f"), version);
    }
    server.publish("/config/hello/hello.config", "STARTUP_COMMAND=./f\n");
    server.publish("/channels/hello/stable", "1.0.0");
}

/// The pages of a repository with data.
const PAGES: [&str; 12] = [
    "/",
    "/?q=el",
    "/sign-in",
    "/apps/hello",
    "/apps/hello/versions",
    "/apps/hello/releases",
    "/apps/hello/releases/r1",
    "/apps/hello/channels/stable",
    "/apps/hello/channels/stable?to=1.1.0",
    "/apps/hello/config",
    "/apps/hello/config/hello.config",
    "/apps/_default/config/_default.config",
];

#[test]
fn every_page_is_complete_and_its_links_work() {
    let (_storage, server) = Server::fresh();
    fill(&server);
    for path in PAGES {
        let shown = page(&server, path);
        assert_eq!(shown.status, 200, "{path}: {}", shown.text());
        assert_eq!(
            shown.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(shown.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(shown.header("cache-control"), Some("private, no-store"));
        let policy = shown.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'")
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = shown.text();
        assert_eq!(text.matches("<h1>").count(), 1, "{path}");
        assert_eq!(text.matches("<main").count(), 1, "{path}");
        assert!(text.contains("<html lang=\"en\">"));
        assert!(
            !text.contains("<script>") && !text.contains("style="),
            "{path}"
        );
        // Each link leads to a page.
        for link in text.split("href=\"").skip(1) {
            let link = link.split('"').next().unwrap().replace("&amp;", "&");
            let target = link.split('#').next().unwrap();
            if target.is_empty() {
                continue;
            }
            let found = page(&server, target);
            assert!(
                matches!(found.status, 200 | 303),
                "{path} to {target}: {}",
                found.status
            );
        }
    }
    for (path, status) in [
        ("/apps/unknown", 404),
        ("/apps/No", 400),
        ("/apps/hello/releases/r9", 404),
        ("/apps/hello/releases/x", 400),
        ("/apps/hello/channels/none", 404),
        ("/apps/hello/channels/stable?to=9.9.9", 404),
        ("/apps/hello/channels/stable?to=%3Cscript%3E", 422),
        ("/apps/hello/config/hello.txt", 400),
        ("/apps/_default/config/x.config", 400),
        ("/apps/hello/versions?before=x", 400),
    ] {
        let shown = page(&server, path);
        assert_eq!(shown.status, status, "{path}: {}", shown.text());
        assert!(
            shown.text().contains("role=\"alert\""),
            "{path}: {}",
            shown.text()
        );
        assert!(!shown.text().contains("<script>"), "{path}");
    }
    // Without an `Accept` header, the answer is JSON.
    assert_eq!(
        server.get("/").header("content-type"),
        Some("application/json")
    );
}

#[test]
fn input_is_escaped() {
    let (_storage, server) = Server::fresh();
    let hostile = "\"'><script>alert(1)</script>&amp;";
    server.publish("/artefacts/hello/1.0.0/f", "<script>alert(2)</script>");
    server.publish(
        "/config/hello/hello.config",
        "A='\"><script>alert(1)</script>&'
#</textarea><script>x
",
    );
    for path in [
        "/apps/hello/config".to_owned(),
        "/apps/hello/config/hello.config".to_owned(),
        format!("/?q={}", "%22%3E%3Cscript%3Ealert(1)%3C/script%3E"),
        "/sign-in?to=%22%3E%3Cscript%3E".to_owned(),
    ] {
        let shown = page(&server, &path).text();
        assert!(!shown.contains("<script>"), "{path}: {shown}");
        assert!(!shown.contains("#</textarea>"), "{path}: {shown}");
    }
    // Commands on a page do not contain an invalid host.
    let host = format!("x.example/{hostile}");
    let shown = server.request("GET", "/sign-in", &[PAGE, ("Host", &host)], b"");
    assert!(!shown.text().contains("alert(1)"), "{}", shown.text());
    // Artefacts have the same origin as the console, so a browser must save them and not run them.
    let artefact = page(&server, "/artefacts/hello/1.0.0/f");
    assert_eq!(
        artefact.header("content-disposition"),
        Some("attachment; filename=\"f\"")
    );
    assert_eq!(
        artefact.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(artefact.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        artefact.header("content-security-policy"),
        Some("default-src 'none'; sandbox")
    );
}

#[test]
fn a_config_is_saved_unchanged_or_refused() {
    let (_storage, server) = Server::fresh();
    fill(&server);
    let path = "/apps/hello/config/production.config";
    let saved = send(
        &server,
        path,
        &[],
        "generation=&content=%0D%0AA=1%0D%0AB=%27x+y%27%0D%0A",
    );
    assert_eq!(saved.status, 303, "{}", saved.text());
    let layer = "/config/hello/production.config";
    assert_eq!(server.get(layer).text(), "\nA=1\nB='x y'\n");
    // HTML drops the first line feed of a textarea, so the page adds one.
    assert!(
        page(&server, path)
            .text()
            .contains(">\n\nA=1\nB='x y'\n</textarea>")
    );
    let refused = send(
        &server,
        path,
        &[],
        "generation=1&content=A%3D1%0D%0AB%3D%24HOME%0D%0A",
    );
    assert_eq!(refused.status, 422);
    let text = refused.text();
    assert!(text.contains("data-line=\"2\" data-column=\"3\""), "{text}");
    assert!(
        text.contains("A=1\nB=$HOME\n</textarea>"),
        "the draft is lost: {text}"
    );
    server.publish(layer, "A=2\n");
    let stale = send(&server, path, &[], "generation=1&content=A%3D3");
    assert_eq!(stale.status, 412, "{}", stale.text());
    let text = stale.text();
    assert!(text.contains("A=3</textarea>"), "{text}");
    // The page shows the newer generation, and a confirmation is necessary to replace it.
    assert!(text.contains("<ins>+ A=2\n</ins>") && text.contains("name=\"replace\" value=\"2\""));
    let repeated = send(&server, path, &[], "generation=1&content=A%3D3");
    assert_eq!(repeated.status, 412);
    assert_eq!(server.get(layer).text(), "A=2\n");
    let replaced = send(
        &server,
        path,
        &[],
        "generation=1&replace=2&content=A%3D2%0A",
    );
    assert_eq!(replaced.status, 303, "{}", replaced.text());
    assert_eq!(send(&server, path, &[], "generation=2").status, 400);
    assert_eq!(
        send(&server, path, &[], "generation=2&content=A%3D%FF").status,
        400
    );
    assert_eq!(server.get(layer).text(), "A=2\n");
    let checked = send(&server, path, &[], "check=true&content=A%3D1%0AB%3D(");
    assert_eq!((checked.status, &checked.json()["line"]), (200, &2.into()));
    assert_eq!(server.get(layer).text(), "A=2\n");
    let old = page(&server, &format!("{path}?generation=1")).text();
    assert!(old.contains("<ins>+ A=1\n</ins>"), "{old}");
    // The page of each generation shows its changes. An old generation can be written again.
    let newest = page(&server, &format!("{path}?generation=2")).text();
    assert!(
        newest.contains("<ins>+ A=2\n</ins>") && !newest.contains("Restore as a new generation"),
        "{newest}"
    );
    assert!(old.contains("Restore as a new generation"), "{old}");
    for number in 3..=60 {
        server.publish(layer, format!("A={number}\n"));
    }
    let shown = page(&server, path).text();
    assert!(
        shown.contains(">g60<") && !shown.contains(">g10<"),
        "{shown}"
    );
    let earlier = page(&server, &format!("{path}?before=11")).text();
    assert!(
        earlier.contains(">g10<") && earlier.contains("generation 60"),
        "{earlier}"
    );
}

/// A comparison takes more than linear time, so a large config could keep the server busy.
#[test]
fn very_long_configs_are_not_compared() {
    let (_storage, server) = Server::fresh();
    fill(&server);
    let mut dice = platformer_tests::dice::Dice::new(1);
    for _ in 0..2 {
        let lines = dice.noise(600_000);
        let text: String = lines
            .iter()
            .map(|byte| if byte % 2 == 0 { "\n" } else { "#\n" })
            .collect();
        server.publish(
            "/config/hello/hello.config",
            &text[..text.len().min(1 << 20)],
        );
    }
    server.publish("/config/hello/hello.config", "A=1\n");
    let shown = page(&server, "/apps/hello/config/hello.config?generation=3");
    assert_eq!(shown.status, 200);
    assert!(shown.text().contains("too many lines to compare"));
    let many = "PASSWORD=x\n".repeat(50_000);
    let answer = server.put("/config/hello/hello.config", many);
    assert!(answer.body.len() < 20_000, "{}", answer.body.len());
    assert!(answer.text().contains(" more"));
}

#[test]
fn the_list_of_apps_is_paginated() {
    let (_storage, server) = Server::fresh();
    for number in 0..1000 {
        server.publish(&format!("/artefacts/app-{number:04}/1.0.0/f"), "x");
    }
    let mut seen = 0;
    let mut path = "/".to_owned();
    loop {
        let shown = page(&server, &path).text();
        seen += shown.matches("<th scope=\"row\">").count();
        let Some((_, rest)) = shown.split_once("rel=\"next\" href=\"") else {
            break;
        };
        path = rest.split('"').next().unwrap().replace("&amp;", "&");
    }
    assert_eq!(seen, 1000);
    let found = page(&server, "/?q=-0042").text();
    assert_eq!(found.matches("<th scope=\"row\">").count(), 1);
}
