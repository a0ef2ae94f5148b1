//! Tokens: scopes, expiry and revocation, and requests without a token.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use platformer_tests::binaries;
use platformer_tests::run::{self, Exit, eventually};
use platformer_tests::server::Server;

pub(crate) fn token(storage: &Path, arguments: &[&str], code: i32) -> Exit {
    let location = format!("file://{}", storage.display());
    let environment = [("REPOSITORY_STORAGE".into(), location.into())];
    let arguments = [&["token"], arguments].concat();
    let ended = run::spawn(&binaries::repository(), &arguments, &environment).wait();
    ended.expect(code);
    ended
}

pub(crate) fn create(storage: &Path, arguments: &[&str]) -> String {
    let output = token(storage, &[&["create"], arguments].concat(), 0);
    output.stdout.trim().to_owned()
}

fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

/// Sends a request with a token and returns the status.
fn status(server: &Server, method: &str, path: &str, secret: &str, body: &str) -> u16 {
    let authorization = bearer(secret);
    let headers = [("Authorization", authorization.as_str())];
    server
        .request(method, path, &headers, body.as_bytes())
        .status
}

const FILE: &str = "/artefacts/hello/1.0.0/f";

#[test]
fn the_server_creates_an_admin_token_and_never_prints_it() {
    let storage = tempfile::tempdir().unwrap();
    let file = storage.path().join("admin-token");
    let settings = [("ADMIN_TOKEN_FILE", file.to_str().unwrap())];
    let store = storage.path().join("store");
    let server = Server::start_with(&store, &settings);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(secret.len() > 40, "{secret}");
    for path in ["/", "/artefacts/", FILE, "/nothing"] {
        let refused = server.get(path);
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.header("www-authenticate").is_some());
        assert!(refused.detail().contains("curl -u token:SECRET"));
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    assert_eq!(server.put(FILE, "x").status, 401);
    assert_eq!(status(&server, "PUT", FILE, &secret, "x"), 201);
    let basic = run::spawn(
        Path::new("curl"),
        &[
            "-fsS".to_owned(),
            "-u".to_owned(),
            format!("token:{secret}"),
            format!("http://{}{FILE}", server.address),
        ],
        &[],
    );
    let basic = basic.wait();
    basic.expect(0);
    assert_eq!(basic.stdout, "x");
    assert_eq!(status(&server, "GET", FILE, &secret[1..], ""), 401);
    let stopped = server.stop();
    stopped
        .expect(0)
        .says("created an admin token")
        .says("who=admin")
        .does_not_say(&secret);
    // A restart keeps the token.
    let server = Server::start_with(&store, &settings);
    assert_eq!(status(&server, "GET", FILE, &secret, ""), 200);
    // The owner can replace the token.
    let other = "another-secret-of-the-owner";
    fs::write(&file, format!("{other}\n")).unwrap();
    eventually("the server accepts the new token", || {
        status(&server, "GET", FILE, other, "") == 200
    });
    // 429, because the loop above sent many wrong tokens.
    assert!(matches!(
        status(&server, "GET", FILE, &secret, ""),
        401 | 429
    ));
    server
        .stop()
        .expect(0)
        .does_not_say("created an admin token");
    fs::write(&file, "short").unwrap();
    let location = format!("file://{}", store.display());
    let environment = [
        ("REPOSITORY_STORAGE".into(), location.into()),
        ("REPOSITORY_ADMIN_TOKEN_FILE".into(), file.into()),
    ];
    run::spawn::<&str>(&binaries::repository(), &[], &environment)
        .wait()
        .expect(1)
        .says("does not hold a valid admin token");
}

#[test]
fn a_token_covers_its_scopes() {
    let (storage, server) = Server::fresh();
    server.publish("/artefacts/other/1.0.0/f", "y");
    let ci = create(storage.path(), &["ci", "publish:hello", "config:hello"]);
    let deploy = create(storage.path(), &["deploy", "release:hello/stable"]);
    let reader = create(storage.path(), &["reader", "read:hello"]);
    let admin = create(storage.path(), &["jo@example.org", "admin"]);
    // After the first token exists, each request needs a token.
    eventually("the server requires tokens", || {
        server.get("/artefacts/").status == 401
    });
    let config = "/config/hello/hello.config";
    let stable = "/channels/hello/stable";
    for (method, path, body, token, expected) in [
        ("PUT", FILE, "x", &reader, 403),
        ("PUT", FILE, "x", &deploy, 403),
        ("PUT", FILE, "x", &ci, 201),
        ("PUT", "/artefacts/other/1.0.1/f", "x", &ci, 403),
        ("PUT", "/artefacts/%68ello/1.0.0/g", "x", &reader, 403),
        ("PUT", "/artefacts/%68ello/1.0.0/g", "x", &ci, 201),
        ("GET", FILE, "", &ci, 403),
        ("GET", FILE, "", &reader, 200),
        ("GET", "/artefacts/other/1.0.0/f", "", &reader, 403),
        ("GET", "/artefacts/", "", &reader, 403),
        ("PUT", config, "A=1\n", &ci, 201),
        ("PUT", config, "A=2\n", &deploy, 403),
        ("PUT", "/config/_default/_default.config", "A=2\n", &ci, 403),
        ("PUT", stable, "1.0.0", &ci, 403),
        ("PUT", "/channels/hello/next", "1.0.0", &deploy, 403),
        ("PUT", stable, "1.0.0", &deploy, 201),
        ("GET", stable, "", &reader, 200),
        ("DELETE", "/artefacts/hello/1.0.0?purge=true", "", &ci, 403),
        ("PUT", "/retention/hello", "keep=1", &ci, 403),
        ("GET", "/artefacts/", "", &admin, 200),
        ("PUT", "/retention/hello", "keep=1", &admin, 201),
    ] {
        let found = status(&server, method, path, token, body);
        assert_eq!(found, expected, "{method} {path} {body}");
    }
    let authorization = bearer(&reader);
    let headers = [("Authorization", authorization.as_str())];
    let refused = server.request("PUT", FILE, &headers, b"x");
    let detail = refused.detail();
    assert!(
        detail.contains(
            "the token reader has the scopes read:hello, but the request needs publish:hello"
        ),
        "{detail}"
    );
    let history = server.request(
        "GET",
        "/channels/hello/stable/history",
        &[("Authorization", &bearer(&reader))],
        b"",
    );
    assert_eq!(history.json()["history"][0]["by"], "deploy");
    let listed = token(storage.path(), &["list"], 0);
    for line in [
        "ci  publish:hello config:hello  created ",
        "deploy  release:hello/stable  created ",
    ] {
        assert!(listed.stdout.contains(line), "{}", listed.stdout);
    }
    // A shared cache must not store an answer that needs a token.
    let file = server.request("GET", FILE, &headers, b"");
    assert!(
        file.header("cache-control")
            .unwrap()
            .starts_with("private, ")
    );
    // Neither the log nor the store contains a secret.
    let stopped = server.stop();
    for secret in [&ci, &deploy, &reader, &admin] {
        stopped.expect(0).does_not_say(secret);
        assert!(!listed.stdout.contains(secret.as_str()));
        for entry in fs::read_dir(storage.path().join("apps/_tokens/log")).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            assert!(!text.contains(secret.as_str()), "{text}");
        }
    }
    stopped
        .says("write method=PUT path=/channels/hello/stable status=201")
        .says("refused method=GET path=/artefacts/other/1.0.0/f status=403")
        .says("who=reader from=127.0.0.1 id=")
        .says("who=deploy from=127.0.0.1 id=");
}

#[test]
fn tokens_expire_and_can_be_revoked() {
    let (storage, server) = Server::fresh();
    server.publish(FILE, "x");
    let short = create(storage.path(), &["short", "admin", "--expires", "2s"]);
    let long = create(storage.path(), &["long", "admin", "--expires", "720h"]);
    eventually("the server accepts the token", || {
        status(&server, "GET", FILE, &long, "") == 200
    });
    eventually("the token expires", || {
        status(&server, "GET", FILE, &short, "") == 401
    });
    assert_eq!(status(&server, "GET", FILE, &long, ""), 200);
    token(storage.path(), &["revoke", "long"], 0);
    eventually("the token is revoked", || {
        status(&server, "GET", FILE, &long, "") == 401
    });
    // Without a valid token left, the server stays closed.
    assert_eq!(server.get(FILE).status, 401);
    let server = {
        server.stop().expect(0);
        Server::start(storage.path())
    };
    assert_eq!(server.get(FILE).status, 401);
    // A revoked name can be used for a new token.
    let new = create(storage.path(), &["long", "read:*"]);
    eventually("the server accepts the token", || {
        status(&server, "GET", FILE, &new, "") == 200
    });
    assert_eq!(status(&server, "GET", FILE, &long, ""), 401);
    for (arguments, says) in [
        (
            &["create", "long", "admin"][..],
            "token long already exists",
        ),
        (&["create", "x"], "needs a scope"),
        (&["create", "x", "write:hello"], "is not a scope"),
        (&["create", "a b", "admin"], "is not a token name"),
        (&["create", "x", "admin", "--expires", "soon"], "--expires"),
        (&["revoke", "nobody"], "no token nobody"),
        (&["revoke"], "needs the name of one token"),
        (&[], "takes create, list or revoke"),
    ] {
        token(storage.path(), arguments, 1).says(says);
    }
}

#[test]
fn wrong_tokens_are_rate_limited() {
    let (storage, server) = Server::fresh();
    server.publish(FILE, "x");
    let good = create(storage.path(), &["good", "read:*"]);
    eventually("the server requires tokens", || {
        server.get(FILE).status == 401
    });
    let mut statuses = Vec::new();
    for guess in 0..30 {
        let authorization = bearer(&format!("rpt_{guess}"));
        let answer = server.request("GET", FILE, &[("Authorization", &authorization)], b"");
        if answer.status == 429 {
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=61).contains(&wait), "{wait}");
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..20], [401; 20]);
    assert_eq!(statuses[20..], [429; 10]);
    // The limit does not apply to valid tokens from the same address.
    assert_eq!(status(&server, "GET", FILE, &good, ""), 200);
    for malformed in ["", "Bearer", "Basic x", "Digest y"] {
        let answer = server.request("GET", FILE, &[("Authorization", malformed)], b"");
        assert_eq!(answer.status, 400, "{malformed}");
    }
}

#[test]
fn reads_can_stay_open() {
    let storage = tempfile::tempdir().unwrap();
    let secret = create(storage.path(), &["ci", "publish:hello"]);
    let server = Server::start_with(storage.path(), &[("OPEN_READS", "true")]);
    assert_eq!(server.put(FILE, "x").status, 401);
    assert_eq!(status(&server, "PUT", FILE, &secret, "x"), 201);
    assert_eq!(server.get(FILE).status, 200);
    assert_eq!(status(&server, "GET", FILE, &secret, ""), 200);
    assert_eq!(status(&server, "GET", FILE, "rpt_none", ""), 401);
    // Each answer has the request ID of the log.
    let answer = server.request("GET", FILE, &[("X-Request-Id", "my-id-1")], b"");
    assert_eq!(answer.header("x-request-id"), Some("my-id-1"));
    let answer = server.request("GET", FILE, &[("X-Request-Id", "not plain")], b"");
    let id = answer.header("x-request-id").unwrap().to_owned();
    assert!(id.len() > 8 && id != "not plain", "{id}");
    server
        .stop()
        .expect(0)
        .says("id=my-id-1")
        .says(&format!("id={id}"));
}
