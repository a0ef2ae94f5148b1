//! Reading artefacts over HTTP.

use platformer_tests::fixture::digest;
use platformer_tests::server::Server;

const PATH: &str = "/artefacts/hello/1.0.0/hello-1.0.0.tar.gz";

#[test]
fn a_get_has_digests_and_cache_headers() {
    let (_storage, server) = Server::fresh();
    server.publish(PATH, "0123456789");
    let sha256 = digest(b"0123456789");
    for method in ["GET", "HEAD"] {
        let response = server.request(method, PATH, &[], b"");
        assert_eq!(response.status, 200);
        let expected = [
            ("etag", sha256.etag()),
            ("repr-digest", sha256.field()),
            ("x-checksum-sha256", sha256.to_string()),
            ("accept-ranges", "bytes".to_owned()),
            (
                "cache-control",
                "public, max-age=31536000, immutable, no-transform".to_owned(),
            ),
            ("x-content-type-options", "nosniff".to_owned()),
            ("content-length", "10".to_owned()),
        ];
        for (name, value) in expected {
            assert_eq!(
                response.header(name),
                Some(value.as_str()),
                "{method} {name}"
            );
        }
        assert_eq!(response.header("content-encoding"), None);
        assert_eq!(response.body.len(), if method == "GET" { 10 } else { 0 });
    }
}

#[test]
fn ranges_and_conditions() {
    let (_storage, server) = Server::fresh();
    server.publish(PATH, "0123456789");
    let etag = digest(b"0123456789").etag();
    let ask = |headers: &[(&str, &str)]| {
        let response = server.request("GET", PATH, headers, b"");
        (
            response.status,
            response.text(),
            response
                .header("content-range")
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let part = |text: &str, range: &str| (206, text.to_owned(), range.to_owned());
    let whole = (200, "0123456789".to_owned(), String::new());
    assert_eq!(ask(&[("Range", "bytes=2-4")]), part("234", "bytes 2-4/10"));
    assert_eq!(ask(&[("Range", "bytes=7-")]), part("789", "bytes 7-9/10"));
    assert_eq!(ask(&[("Range", "bytes=-2")]), part("89", "bytes 8-9/10"));
    assert_eq!(ask(&[("Range", "bytes=0-1,4-5")]), whole);
    let beyond = server.request("GET", PATH, &[("Range", "bytes=10-")], b"");
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, Some("bytes */10"))
    );
    assert!(beyond.detail().contains("has 10 bytes"));
    let head = server.request("HEAD", PATH, &[("Range", "bytes=0-0")], b"");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("10"))
    );
    assert_eq!(
        ask(&[("Range", "bytes=2-4"), ("If-Range", &etag)]),
        part("234", "bytes 2-4/10")
    );
    assert_eq!(
        ask(&[("Range", "bytes=2-4"), ("If-Range", "\"other\"")]),
        whole
    );
    assert_eq!(ask(&[("If-None-Match", &etag)]).0, 304);
    assert_eq!(ask(&[("If-None-Match", "*")]).0, 304);
    assert_eq!(ask(&[("If-Match", "\"other\"")]).0, 412);
    assert_eq!(ask(&[("If-Match", &etag)]), whole);
}

#[test]
fn large_files_are_returned_unchanged() {
    let (_storage, server) = Server::fresh();
    // Larger than every buffer, and not a multiple of a buffer size.
    let large: Vec<u8> = (0..20_000_003_u32)
        .flat_map(u32::to_le_bytes)
        .take(20_000_003)
        .collect();
    server.publish(PATH, &large);
    assert_eq!(server.get(PATH).body, large);
    let response = server.request("GET", PATH, &[("Range", "bytes=5242870-15728650")], b"");
    assert_eq!(response.body, &large[5_242_870..=15_728_650]);
}

#[test]
fn listings_are_paginated() {
    let (_storage, server) = Server::fresh();
    for version in ["1.10.0", "1.9.0", "2.0.0-rc.1"] {
        server.publish(&format!("/artefacts/hello/{version}/f"), version);
    }
    server.publish("/artefacts/another/1.0/f", "x");
    assert_eq!(
        server.get("/artefacts/").json()["apps"],
        serde_json::json!(["another", "hello"])
    );
    let versions = server.get("/artefacts/hello/").json();
    assert_eq!(versions["latest"], "1.10.0");
    let names: Vec<&str> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["version"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["1.9.0", "1.10.0", "2.0.0-rc.1"]);
    let mut path = "/artefacts/hello/?limit=1".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = server.get(&path);
        seen.extend(
            page.json()["versions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["version"].as_str().unwrap().to_owned()),
        );
        let Some(link) = page.header("link") else {
            break;
        };
        let next = link.strip_prefix('<').and_then(|link| link.split_once('>'));
        next.unwrap().0.clone_into(&mut path);
        assert!(link.ends_with("rel=\"next\""));
    }
    assert_eq!(seen, names);
    let files = server.get("/artefacts/another/1.0/").json();
    assert_eq!(files["files"][0]["sha256"], digest(b"x").to_string());
    let html = server.request("GET", "/artefacts/hello/", &[("Accept", "text/html")], b"");
    assert!(
        html.text()
            .contains("<a href=\"/artefacts/hello/1.10.0/\">1.10.0</a>"),
        "{}",
        html.text()
    );
    for path in [
        "/artefacts/hello/?limit=0",
        "/artefacts/hello/?limit=x",
        "/artefacts/hello/?after=../x",
    ] {
        assert_eq!(server.get(path).status, 400, "{path}");
    }
    assert_eq!(server.get("/artefacts/nobody/").status, 404);
}

#[test]
fn a_yanked_version_leaves_latest_and_stays_available() {
    let (_storage, server) = Server::fresh();
    server.publish("/artefacts/hello/1.0.0/hello-1.0.0.tgz", "one");
    server.publish("/artefacts/hello/2.0.0/hello-2.0.0.tgz", "two");
    let latest = || {
        server.get("/artefacts/hello/").json()["latest"]
            .as_str()
            .map(str::to_owned)
    };
    let delete =
        |version: &str| server.request("DELETE", &format!("/artefacts/hello/{version}"), &[], b"");
    assert_eq!(delete("2.0.0").status, 204);
    assert_eq!(delete("2.0.0").status, 204, "a second yank changes nothing");
    assert_eq!(latest().as_deref(), Some("1.0.0"));
    assert_eq!(
        server.get("/artefacts/hello/2.0.0/hello-2.0.0.tgz").body,
        b"two"
    );
    assert_eq!(server.get("/releases/hello/2.0.0").status, 200);
    assert_eq!(server.get("/files/hello/hello.tgz").body, b"one");
    assert_eq!(server.put("/channels/hello/stable", "2.0.0").status, 422);
    assert_eq!(delete("1.0.0").status, 204);
    assert!(
        server
            .get("/releases/hello/latest")
            .detail()
            .contains("pre-release or yanked")
    );
    assert_eq!(
        server.put("/artefacts/hello/2.0.0/yanked", "false").status,
        204
    );
    assert_eq!(latest().as_deref(), Some("2.0.0"));
    assert_eq!(
        server
            .put("/artefacts/hello/2.0.0/yanked", "perhaps")
            .status,
        400
    );
    server.publish("/channels/hello/stable", "2.0.0");
    assert_eq!(
        delete("2.0.0").status,
        409,
        "the release of a channel names the version"
    );
    assert_eq!(delete("3.0.0").status, 404);
}

#[test]
fn the_addresses_of_the_original_design() {
    let (_storage, server) = Server::fresh();
    server.publish("/artefacts/hello/1.0.0/hello-1.0.0.tar.gz", "bytes");
    server.publish("/config/hello/hello.config", "A=1\n");
    let response = server.get("/files/hello/hello.tgz");
    assert_eq!(
        (response.body.as_slice(), response.header("cache-control")),
        (&b"bytes"[..], Some("no-cache"))
    );
    assert_eq!(
        server.get("/files/hello/hello.tgz.sha256").text(),
        digest(b"bytes").line("hello.tgz")
    );
    assert_eq!(server.get("/config/hello/hello.config").text(), "A=1\n");
    assert_eq!(server.get("/files/hello/other.tgz").status, 404);
}
