//! Signed-only channels: the server checks the signature before it moves the channel.

use std::fs;
use std::path::Path;

use platformer_tests::binaries;
use platformer_tests::run;
use platformer_tests::server::Server;
use platformer_tests::signing::Signer;

const MARK: &str = "/channels/hello/stable/signed-only";
const STABLE: &str = "/channels/hello/stable";
const NEXT: &str = "/channels/hello/next";

fn start(storage: &Path, keys: &Path) -> Server {
    Server::start_with(storage, &[("TRUSTED_KEYS_FILE", keys.to_str().unwrap())])
}

fn sign(server: &Server, signer: &Signer, release: &str, comment: &str) {
    let statement = server.get(&format!("/releases/hello/{release}?statement"));
    assert_eq!(statement.status, 200);
    let path = format!("/releases/hello/{release}.minisig");
    server.publish(&path, signer.sign(&statement.body, comment));
}

/// Asserts that the server refuses a change and does not move the channel. Returns the detail.
fn refused(server: &Server, path: &str, body: &str) -> String {
    let before = server.get(STABLE).body;
    let answer = server.put(path, body);
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(server.get(STABLE).body, before);
    answer.detail()
}

#[test]
fn a_signed_only_channel_refuses_unsigned_releases() {
    let home = tempfile::tempdir().unwrap();
    let (signer, other) = (Signer::new(), Signer::new());
    let keys = home.path().join("keys");
    fs::write(&keys, signer.public_key()).unwrap();
    let storage = home.path().join("store");
    let server = start(&storage, &keys);
    for version in ["1.0.0", "1.1.0", "1.2.0", "1.3.0"] {
        server.publish(&format!("/artefacts/hello/{version}/f"), version);
        server.publish(NEXT, version);
    }
    server.publish(STABLE, "r1");
    assert_eq!(server.get(MARK).text(), "false\n");
    assert!(refused(&server, MARK, "true").contains("r1 is refused: the release is not signed"));
    sign(&server, &signer, "r1", "timestamp:1");
    assert_eq!(server.put(MARK, "perhaps").status, 400);
    for _ in 0..2 {
        assert_eq!(server.put(MARK, "true").status, 204);
        assert_eq!(server.get(MARK).text(), "true\n");
    }
    // A version would become a new release, which is unsigned.
    assert!(refused(&server, STABLE, "1.1.0").contains("sign the release"));
    assert!(refused(&server, STABLE, "r2").contains("the release is not signed"));
    sign(&server, &other, "r2", "timestamp:1");
    assert!(refused(&server, STABLE, "r2").contains("none of the trusted keys"));
    sign(&server, &signer, "r3", "expires:2020-01-01");
    assert!(refused(&server, STABLE, "r3").contains("has expired"));
    // The signature of another release.
    let signature = server.get("/releases/hello/r1.minisig").body;
    server.publish("/releases/hello/r4.minisig", signature);
    assert!(refused(&server, STABLE, "r4").contains("does not match"));
    // The current release is accepted, and other channels are not affected.
    assert_eq!(server.put(STABLE, "r1").status, 200);
    server.publish(NEXT, "1.0.0");
    // The server reads the keys at each use.
    let both = format!("{}\n{}", signer.public_key(), other.public_key());
    fs::write(&keys, both).unwrap();
    server.publish(STABLE, "r2");
    server.publish(STABLE, "r1");
    fs::write(&keys, "nonsense").unwrap();
    let failed = server.put(STABLE, "r2");
    assert_eq!(failed.status, 500, "{}", failed.text());
    server
        .stop()
        .expect(0)
        .says("failed to read the trusted keys");
    // Without keys, the channel stays signed-only and refuses all releases.
    let server = Server::start(&storage);
    assert!(refused(&server, STABLE, "r2").contains("REPOSITORY_TRUSTED_KEYS_FILE"));
    let shown = server.request("GET", STABLE, &[("Accept", "application/json")], b"");
    assert_eq!(shown.json()["signed_only"], true);
    assert_eq!(server.put(MARK, "false").status, 204);
    server.publish(STABLE, "r2");
    let unmarked = server.put(MARK, "true");
    assert_eq!(unmarked.status, 422, "{}", unmarked.text());
}

#[test]
fn a_file_without_keys_stops_the_start() {
    let home = tempfile::tempdir().unwrap();
    let storage = format!("file://{}", home.path().join("store").display());
    let keys = home.path().join("keys");
    for content in [None, Some(""), Some("hunter2\n")] {
        if let Some(content) = content {
            fs::write(&keys, content).unwrap();
        }
        let environment = [
            ("REPOSITORY_STORAGE".into(), storage.clone().into()),
            ("REPOSITORY_TRUSTED_KEYS_FILE".into(), keys.clone().into()),
        ];
        let ended = run::spawn::<&str>(&binaries::repository(), &[], &environment).wait();
        ended.expect(1);
        ended.says("REPOSITORY_TRUSTED_KEYS_FILE is invalid");
        assert!(!ended.stderr.contains("hunter2"));
    }
}
