//! The console, without a browser: what it sends, who may write, and what it escapes.

use std::path::Path;

use platformer_tests::http::Response;
use platformer_tests::server::Server;

use crate::tokens;

const PAGE: (&str, &str) = ("Accept", "text/html,application/xhtml+xml");

fn page(server: &Server, path: &str) -> Response {
    server.request("GET", path, &[PAGE], b"")
}

fn own(server: &Server) -> String {
    format!("http://{}", server.address)
}

/// Sends a form as one of its own pages does, and whatever else.
fn send(server: &Server, path: &str, more: &[(&str, &str)], body: &str) -> Response {
    let origin = own(server);
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

/// All that lead somewhere on pages of a repository that is filled.
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
fn every_page_is_a_page_of_its_own() {
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
        // Each link leads somewhere.
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
        ("/apps/nobody", 404),
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
    // A script that asks for nothing in particular is not given a page.
    assert_eq!(
        server.get("/").header("content-type"),
        Some("application/json")
    );
}

#[test]
fn nothing_that_somebody_wrote_becomes_markup() {
    let (_storage, server) = Server::fresh();
    let wicked = "\"'><script>alert(1)</script>&amp;";
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
    // A host that nobody could have is not shown in a command.
    let host = format!("x.example/{wicked}");
    let shown = server.request("GET", "/sign-in", &[PAGE, ("Host", &host)], b"");
    assert!(!shown.text().contains("alert(1)"), "{}", shown.text());
    // An artefact lies at the same origin: a browser saves it, and runs nothing of it.
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
fn only_pages_of_ours_may_write() {
    let (_storage, server) = Server::fresh();
    fill(&server);
    let (stable, body) = ("/apps/hello/channels/stable", "to=1.1.0&moved=1");
    let other = [("Origin", "http://evil.example")];
    for headers in [
        &[][..],
        &other,
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
    ] {
        let refused = server.request("POST", stable, headers, body.as_bytes());
        assert_eq!(refused.status, 403, "{headers:?}: {}", refused.text());
    }
    assert_eq!(server.get("/channels/hello/stable").text(), "r1\n");
    let moved = send(&server, stable, &[], body);
    assert_eq!(moved.status, 303, "{}", moved.text());
    assert_eq!(
        moved.header("location"),
        Some("/apps/hello/channels/stable?done=1")
    );
    assert_eq!(server.get("/channels/hello/stable").text(), "r2\n");
    // The page that it was sent from shows something that is so no more.
    let stale = send(&server, stable, &[], "to=r1&moved=1");
    assert_eq!(stale.status, 412, "{}", stale.text());
    assert!(stale.text().contains("role=\"alert\""));
    let yanked = send(&server, "/apps/hello/versions/1.0.0", &[], "yanked=true");
    assert_eq!(yanked.status, 303, "{}", yanked.text());
    assert_eq!(server.get("/artefacts/hello/1.0.0/yanked").text(), "true\n");
    let refused = send(&server, stable, &[], "to=r1&moved=2");
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("is yanked"), "{}", refused.text());
    assert_eq!(
        send(&server, "/apps/hello/versions/1.0.0", &[], "yanked=x").status,
        400
    );
}

#[test]
fn a_config_is_saved_as_it_was_typed_or_not_at_all() {
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
    // A line feed at the beginning survives the way through the page.
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
        "what was typed is kept: {text}"
    );
    server.publish(layer, "A=2\n");
    let stale = send(&server, path, &[], "generation=1&content=A%3D3");
    assert_eq!(stale.status, 412, "{}", stale.text());
    let text = stale.text();
    assert!(text.contains("A=3</textarea>"), "{text}");
    // What others wrote is shown, and only who has seen it may replace it.
    assert!(text.contains("<ins>+ A=2\n</ins>") && text.contains("name=\"replace\" value=\"2\""));
    let again = send(&server, path, &[], "generation=1&content=A%3D3");
    assert_eq!(again.status, 412);
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
    // The newest says what it changed, too; and an old one can be written again.
    let newest = page(&server, &format!("{path}?generation=2")).text();
    assert!(
        newest.contains("<ins>+ A=2\n</ins>") && !newest.contains("Write it again"),
        "{newest}"
    );
    assert!(old.contains("Write it again"), "{old}");
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

/// The cookie that signing in sets.
fn cookie(server: &Server, token: &str) -> String {
    let answer = send(
        server,
        "/sign-in",
        &[],
        &format!("to=%2Fapps%2Fhello&token={token}"),
    );
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(answer.header("location"), Some("/apps/hello"));
    let set = answer.header("set-cookie").unwrap();
    assert!(
        set.contains("; HttpOnly") && set.contains("; SameSite=Lax"),
        "{set}"
    );
    set.split(';').next().unwrap().to_owned()
}

fn server_with_tokens(storage: &Path) -> (Server, String, String) {
    let boss = tokens::create(storage, &["boss", "admin"]);
    let reader = tokens::create(storage, &["reader", "read:hello"]);
    let server = Server::start(storage);
    let authorization = format!("Bearer {boss}");
    for (path, body) in [
        ("/artefacts/hello/1.0.0/f", "x"),
        ("/artefacts/other/1.0.0/f", "x"),
        ("/channels/hello/stable", "1.0.0"),
    ] {
        let headers = [("Authorization", authorization.as_str())];
        let answer = server.request("PUT", path, &headers, body.as_bytes());
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
    }
    (server, boss, reader)
}

#[test]
fn who_signs_in_sees_what_the_token_covers() {
    let storage = tempfile::tempdir().unwrap();
    let (server, boss, reader) = server_with_tokens(storage.path());
    for path in ["/", "/apps/hello"] {
        let asked = page(&server, path);
        assert_eq!(asked.status, 401);
        // The browser is not to ask in a window of its own.
        assert!(
            asked
                .header("www-authenticate")
                .unwrap()
                .starts_with("Bearer")
        );
        assert!(asked.text().contains("name=\"token\""), "{}", asked.text());
        // Whoever followed a link may have a cookie that did not come along.
        assert!(asked.header("set-cookie").is_none());
    }
    let wrong = send(&server, "/sign-in", &[], "to=%2F&token=rpt_wrong");
    assert_eq!(wrong.status, 401);
    assert!(wrong.header("set-cookie").is_none() && wrong.text().contains("no such token"));
    let elsewhere = send(
        &server,
        "/sign-in",
        &[],
        &format!("to=%2F%2Fevil.example&token={boss}"),
    );
    assert_eq!(elsewhere.header("location"), Some("/"));
    let unasked = [("Origin", "http://evil.example")];
    let body = format!("token={boss}");
    assert_eq!(
        server
            .request("POST", "/sign-in", &unasked, body.as_bytes())
            .status,
        403
    );

    let (boss, reader) = (cookie(&server, &boss), cookie(&server, &reader));
    let as_boss = [PAGE, ("Cookie", boss.as_str())];
    let as_reader = [PAGE, ("Cookie", reader.as_str())];
    let all = server.request("GET", "/", &as_boss, b"").text();
    assert!(all.contains("/apps/hello") && all.contains("/apps/other"));
    let few = server.request("GET", "/", &as_reader, b"").text();
    assert!(
        few.contains("/apps/hello") && !few.contains("/apps/other"),
        "{few}"
    );
    assert!(few.contains("reader"), "it says who is signed in");
    assert_eq!(
        server.request("GET", "/apps/other", &as_reader, b"").status,
        403
    );
    let shown = server
        .request("GET", "/apps/hello/versions", &as_reader, b"")
        .text();
    assert!(
        !shown.contains("<form method=\"post\" action=\"/apps"),
        "{shown}"
    );
    let shown = server
        .request("GET", "/apps/hello/versions", &as_boss, b"")
        .text();
    assert!(shown.contains("<form method=\"post\" action=\"/apps"));
    assert!(
        shown.contains("-u token:$TOKEN") && !shown.contains("rpt_"),
        "{shown}"
    );
    // A cookie alone writes nothing, by whatever verb.
    let with_cookie = [("Cookie", boss.as_str())];
    for (method, path) in [
        ("PUT", "/channels/hello/next"),
        ("DELETE", "/artefacts/hello/1.0.0"),
    ] {
        let refused = server.request(method, path, &with_cookie, b"1.0.0");
        assert_eq!(refused.status, 403, "{method} {path}");
    }
    let only_read = [("Cookie", reader.as_str())];
    let refused = send(
        &server,
        "/apps/hello/versions/1.0.0",
        &only_read,
        "yanked=true",
    );
    assert_eq!(refused.status, 403);
    let out = send(&server, "/sign-out", &only_read, "");
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    // A token that is revoked is signed out, and says so.
    tokens::token(storage.path(), &["revoke", "reader"], 0);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let asked = server.request("GET", "/apps/hello", &as_reader, b"");
    assert_eq!(asked.status, 401);
    assert!(asked.header("set-cookie").unwrap().contains("Max-Age=0"));
}

/// Who may write may not be one who may read: a refusal shows nothing that was there.
#[test]
fn a_refused_form_shows_nothing_to_those_who_may_not_read() {
    let storage = tempfile::tempdir().unwrap();
    let create = |name: &str, scope: &str| tokens::create(storage.path(), &[name, scope]);
    let boss = create("boss", "admin");
    let writer = create("writer", "config:hello");
    let mover = create("mover", "release:hello/stable");
    let server = Server::start(storage.path());
    let authorization = |token: &str| format!("Bearer {token}");
    let boss = authorization(&boss);
    for (path, body) in [
        ("/artefacts/hello/1.0.0/f", "x"),
        ("/config/hello/hello.config", "PLANTED=hunter2\n"),
        ("/channels/hello/stable", "1.0.0"),
        ("/config/hello/hello.config", "OTHER=hunter3\n"),
        ("/channels/hello/stable", "1.0.0"),
    ] {
        let headers = [("Authorization", boss.as_str())];
        let answer = server.request("PUT", path, &headers, body.as_bytes());
        assert!(answer.status < 300, "{path}: {}", answer.text());
    }
    let config = "/apps/hello/config/hello.config?generation=1";
    let channel = "/apps/hello/channels/stable?to=r1";
    for (token, path, body) in [
        (&writer, config, "generation=1&content=X"),
        (&writer, config, "generation=1&content=A%3D1"),
        (&mover, channel, "to=r1"),
        (&mover, channel, "to=r9&moved=2"),
    ] {
        let authorization = authorization(token);
        let headers = [("Authorization", authorization.as_str())];
        let refused = send(&server, path, &headers, body);
        assert!(
            matches!(refused.status, 412 | 422),
            "{path}: {}",
            refused.status
        );
        let text = refused.text();
        for planted in ["hunter", "PLANTED", "OTHER", "boss"] {
            assert!(!text.contains(planted), "{path}: {text}");
        }
    }
}

/// Comparing is more than linear: somebody could write what keeps the server busy.
#[test]
fn what_is_too_long_to_compare_is_not_compared() {
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
fn a_thousand_apps_are_a_page_at_a_time() {
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
