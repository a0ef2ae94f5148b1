//! Access to the console: what a token or a cookie allows.

use std::path::Path;

use platformer_tests::server::Server;

use super::{PAGE, fill, page, send};
use crate::tokens;

#[test]
fn only_pages_of_the_console_may_write() {
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
    // The form comes from a page that is out of date.
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

/// Signs in, and returns the cookie.
fn sign_in(server: &Server, token: &str) -> String {
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
fn a_user_sees_what_the_token_covers() {
    let storage = tempfile::tempdir().unwrap();
    let (server, boss, reader) = server_with_tokens(storage.path());
    for path in ["/", "/apps/hello"] {
        let asked = page(&server, path);
        assert_eq!(asked.status, 401);
        // With `Basic`, the browser would show its own dialog.
        assert!(
            asked
                .header("www-authenticate")
                .unwrap()
                .starts_with("Bearer")
        );
        assert!(asked.text().contains("name=\"token\""), "{}", asked.text());
        // A link from another site arrives without the cookie of the user, which must stay.
        assert!(asked.header("set-cookie").is_none());
    }
    let wrong = send(&server, "/sign-in", &[], "to=%2F&token=rpt_wrong");
    assert_eq!(wrong.status, 401);
    assert!(wrong.header("set-cookie").is_none() && wrong.text().contains("the token is unknown"));
    let elsewhere = send(
        &server,
        "/sign-in",
        &[],
        &format!("to=%2F%2Fevil.example&token={boss}"),
    );
    assert_eq!(elsewhere.header("location"), Some("/"));
    let foreign = [("Origin", "http://evil.example")];
    let body = format!("token={boss}");
    assert_eq!(
        server
            .request("POST", "/sign-in", &foreign, body.as_bytes())
            .status,
        403
    );

    let (boss, reader) = (sign_in(&server, &boss), sign_in(&server, &reader));
    let as_boss = [PAGE, ("Cookie", boss.as_str())];
    let as_reader = [PAGE, ("Cookie", reader.as_str())];
    let all = server.request("GET", "/", &as_boss, b"").text();
    assert!(all.contains("/apps/hello") && all.contains("/apps/other"));
    let few = server.request("GET", "/", &as_reader, b"").text();
    assert!(
        few.contains("/apps/hello") && !few.contains("/apps/other"),
        "{few}"
    );
    assert!(few.contains("reader"), "the page shows who is signed in");
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
    // A cookie alone allows no write, with any method.
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
    // A revoked token signs the user out.
    tokens::token(storage.path(), &["revoke", "reader"], 0);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let asked = server.request("GET", "/apps/hello", &as_reader, b"");
    assert_eq!(asked.status, 401);
    assert!(asked.header("set-cookie").unwrap().contains("Max-Age=0"));
}

/// A token that may write may lack read access. So a refusal shows no content.
#[test]
fn a_refused_form_shows_no_content_without_read_access() {
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
