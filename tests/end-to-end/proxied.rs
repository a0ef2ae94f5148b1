//! The documented proxies support large uploads, downloads, ranges, long polls, tokens and caching.

use std::path::Path;

use platformer_tests::dice::Dice;
use platformer_tests::fixture::Bootstrap;
use platformer_tests::http;
use platformer_tests::proxy::{Kind, Proxy};
use platformer_tests::server::Server;

/// More than the default limit of nginx.
const LARGE: usize = 3 << 20;

fn with_each(settings: &[(&str, &str)], check: impl Fn(&Server, &Proxy, Kind)) {
    for kind in Kind::installed() {
        let storage = tempfile::tempdir().unwrap();
        let server = Server::start_with(storage.path(), settings);
        let proxy = Proxy::start(kind, server.address, &[]);
        check(&server, &proxy, kind);
    }
}

#[test]
fn proxies_pass_on_large_and_slow_requests() {
    let open = [("ANONYMOUS_WRITES", "true")];
    with_each(&open, |server, proxy, kind| {
        let bytes = Dice::new(7).noise(LARGE);
        let put = http::put(proxy.address, "/artefacts/hello/1.0.0/f", &bytes);
        assert_eq!(put.status, 201, "{kind}: {}", put.text());
        let chunks: Vec<u8> = bytes
            .chunks(100_000)
            .flat_map(|chunk| {
                [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()
            })
            .collect();
        let head = "PUT /artefacts/hello/1.0.0/g HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
        let put = [head.as_bytes(), &chunks, b"0\r\n\r\n"].concat();
        assert_eq!(http::raw(proxy.address, &put, false).status, 201, "{kind}");
        for file in ["f", "g"] {
            let got = http::get(proxy.address, &format!("/artefacts/hello/1.0.0/{file}"));
            assert!(got.body == bytes, "{kind}: {file}");
        }
        let range = [("Range", "bytes=1000-1999")];
        let part = http::request(
            proxy.address,
            "GET",
            "/artefacts/hello/1.0.0/f",
            &range,
            b"",
        );
        assert_eq!(
            (part.status, part.body.as_slice()),
            (206, &bytes[1000..2000]),
            "{kind}"
        );

        server.publish("/channels/hello/stable", "1.0.0");
        let channel = http::get(proxy.address, "/channels/hello/stable");
        let tag = channel.header("etag").unwrap();
        let wait = [("Prefer", "wait=2"), ("If-None-Match", tag)];
        let waited = http::request(proxy.address, "GET", "/channels/hello/stable", &wait, b"");
        assert_eq!(waited.status, 304, "{kind}");
        assert_eq!(
            waited.header("preference-applied"),
            Some("wait=2"),
            "{kind}"
        );
    });
}

#[test]
fn a_repository_behind_a_proxy_needs_tokens() {
    with_each(&[], |server, proxy, kind| {
        assert_eq!(server.get("/artefacts/").status, 200, "directly");
        let refused = http::get(proxy.address, "/artefacts/");
        assert_eq!(refused.status, 403, "{kind}");
        assert!(refused.detail().contains("repository token create"));
    });
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("admin");
    let admin = [("ADMIN_TOKEN_FILE", file.to_str().unwrap())];
    with_each(&admin, |_, proxy, kind| {
        assert_eq!(
            http::get(proxy.address, "/artefacts/").status,
            401,
            "{kind}"
        );
        let secret = std::fs::read_to_string(&file).unwrap();
        let bearer = format!("Bearer {}", secret.trim());
        let path = "/artefacts/hello/1.0.0/f";
        let put = http::request(
            proxy.address,
            "PUT",
            path,
            &[("Authorization", &bearer)],
            b"x",
        );
        assert_eq!(put.status, 201, "{kind}: {}", put.text());
    });
}

/// The documented cache downloads an artefact once for many hosts, and passes on all other requests.
#[test]
fn a_cache_asks_for_an_artefact_once() {
    Kind::Nginx.require();
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start_with(storage.path(), &[("ANONYMOUS_WRITES", "true")]);
    let path = "/artefacts/hello/1.0.0/hello";
    let artefact = Dice::new(1).noise(1 << 20);
    server.publish(path, &artefact);
    server.publish("/config/hello/hello.config", "STARTUP_COMMAND=./hello\n");
    let proxy = Proxy::cache(server.address, &[]);
    let address = proxy.address.to_string();
    let processes = [(); 10].map(|()| Bootstrap::with(&["fetch", "hello", &address]).spawn());
    for process in processes {
        process.wait().expect(0).says("verified sha256:");
    }
    let count = |path: &str| {
        let log = server.process().stderr_so_far();
        log.lines().filter(|line| line.contains(path)).count()
    };
    assert_eq!(
        count("path=/artefacts/hello/1.0.0/hello"),
        2,
        "the PUT, and one GET"
    );
    assert!(count("path=/releases/hello/latest") >= 10);
    // The cache answers ranges.
    let range = [("Range", "bytes=1000-1999")];
    let part = http::request(proxy.address, "GET", path, &range, b"");
    assert_eq!(
        (part.status, part.body.as_slice()),
        (206, &artefact[1000..2000])
    );
    // Writes must go to the repository directly.
    assert_eq!(http::put(proxy.address, path, &artefact).status, 403);
    server.publish("/channels/hello/stable", "1.0.0");
    let channel = || http::get(proxy.address, "/channels/hello/stable").text();
    assert!(channel().contains("r1"));
    server.publish("/artefacts/hello/2.0.0/hello", &artefact);
    server.publish("/channels/hello/stable", "2.0.0");
    assert!(channel().contains("r2"), "channels are not cached");
}

/// A cache with a token serves artefacts to everyone, and nothing else.
#[test]
fn a_cache_with_a_token_serves_only_artefacts() {
    Kind::Nginx.require();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("admin");
    let admin = [("ADMIN_TOKEN_FILE", file.to_str().unwrap())];
    let server = Server::start_with(&home.path().join("store"), &admin);
    let secret = std::fs::read_to_string(&file).unwrap();
    let bearer = format!("Bearer {}", secret.trim());
    let token = [("Authorization", bearer.as_str())];
    let path = "/artefacts/hello/1.0.0/hello";
    let config = "/config/hello/hello.config";
    for (path, body) in [(path, "artefact"), (config, "A=1\n")] {
        let put = server.request("PUT", path, &token, body.as_bytes());
        assert_eq!(put.status, 201, "{}", put.text());
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/past-one-machine.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut lines = String::from("proxy_cache artefacts;\n");
    for directive in [
        "proxy_set_header Authorization \"Bearer …\"",
        "proxy_ignore_headers Cache-Control",
        "proxy_cache_valid 200 30d",
    ] {
        assert!(page.contains(directive), "{directive}");
        lines += &format!("{};\n", directive.replace("Bearer …", &bearer));
    }
    let proxy = Proxy::cache(server.address, &[("proxy_cache artefacts;", &lines)]);
    for _ in 0..3 {
        let got = http::get(proxy.address, path);
        assert_eq!((got.status, got.text().as_str()), (200, "artefact"));
    }
    let log = server.process().stderr_so_far();
    assert_eq!(
        log.matches("path=/artefacts/hello/1.0.0/hello").count(),
        2,
        "{log}"
    );
    for path in [
        config,
        "/releases/hello/latest",
        "/artefacts/hello/",
        "/artefacts/hello/1.0.0/",
    ] {
        assert_eq!(http::get(proxy.address, path).status, 401, "{path}");
    }
}
