//! Signed releases: a wrong signature or changed data ends the start with 77, before bootstrap unpacks anything.

use std::fs;

use platformer_tests::archive::{Entry, Tar, gzip};
use platformer_tests::binaries;
use platformer_tests::fixture::{App, Bootstrap};
use platformer_tests::mock::{Mock, Reply};
use platformer_tests::run::Exit;
use platformer_tests::server::Server;
use platformer_tests::signing::Signer;
use repository_api::release::ReleaseDocument;

const STABLE: &str = "/releases/hello/stable";

fn app() -> App {
    let probe = fs::read(binaries::probe()).unwrap();
    let tar = Tar::new([Entry::file("bin/probe", probe).mode(0o755)]).finish();
    let mut app = App::new("hello-1.0.0.tar.gz", gzip(&tar))
        .with_config("STARTUP_COMMAND='bin/probe exit 7'\n");
    app.release = Some(42);
    app
}

fn signed(app: &App, signer: &Signer, comment: &str) -> ReleaseDocument {
    let mut document = app.document();
    document.signature = Some(signer.sign(document.statement.as_bytes(), comment));
    document
}

fn reply(document: &ReleaseDocument) -> Reply {
    Reply::ok(serde_json::to_vec(document).unwrap()).header("Content-Type", "application/json")
}

fn bootstrap(mock: &Mock, signer: &Signer) -> Bootstrap {
    let bootstrap = Bootstrap::with(&["hello@stable", &mock.address().to_string()]);
    let keys = bootstrap.home().join("keys");
    fs::write(&keys, signer.public_key()).unwrap();
    bootstrap.env("BOOTSTRAP_TRUSTED_KEYS_FILE", keys)
}

/// Starts a release, and asserts that bootstrap refuses the release and unpacks nothing.
fn refused(document: &ReleaseDocument, app: &App, signer: &Signer) -> Exit {
    let mock = Mock::start();
    mock.always(STABLE, reply(document));
    mock.always(&app.path(), app.file_reply());
    let bootstrap = bootstrap(&mock, signer);
    let ended = bootstrap.run();
    ended.expect(77);
    for entry in fs::read_dir(bootstrap.dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().into_string().unwrap();
        assert!(
            name.starts_with(".lock") || name.starts_with(".download"),
            "{name} exists"
        );
    }
    ended
}

#[test]
fn a_signed_release_is_started() {
    let (signer, app) = (Signer::new(), app());
    for comment in [
        "timestamp:1",
        "expires:2999-12-31",
        "x expires:2999-12-31T00:00:00Z",
    ] {
        let mock = Mock::start();
        mock.always(STABLE, reply(&signed(&app, &signer, comment)));
        mock.always(&app.path(), app.file_reply());
        bootstrap(&mock, &signer).run().expect(7);
    }
}

#[test]
fn a_release_without_a_trusted_signature_is_refused() {
    let (signer, other, app) = (Signer::new(), Signer::new(), app());
    refused(&app.document(), &app, &signer).says("the release is not signed");
    refused(&signed(&app, &other, ""), &app, &signer).says("none of the trusted keys");
    refused(&signed(&app, &signer, "expires:2020-01-01"), &app, &signer).says("has expired");
    refused(&signed(&app, &signer, "expires:soon"), &app, &signer).says("isn't a date");
    let mut unsigned_number = app.clone();
    unsigned_number.release = None;
    refused(&signed(&unsigned_number, &signer, ""), &app, &signer);
}

#[test]
fn changed_data_is_refused() {
    let (signer, app) = (Signer::new(), app());
    let good = signed(&app, &signer, "timestamp:1");
    let mut document = good.clone();
    document.statement = document.statement.replace("1.0.0", "1.0.1");
    refused(&document, &app, &signer).says("the release was changed after it was signed");
    let mut document = good.clone();
    document.config[0].content.push_str("MORE=1\n");
    refused(&document, &app, &signer).says("the config layer app is damaged");
    let mut other_app = app.clone();
    for position in [0, app.artefact.len() / 2, app.artefact.len() - 1] {
        other_app.artefact.clone_from(&app.artefact);
        other_app.artefact[position] ^= 1;
        refused(&good, &other_app, &signer).says("is damaged");
    }
    // A valid signature on the release of another app.
    let mut statement = app.statement();
    statement.app = "other".parse().unwrap();
    let mut document = good.clone();
    document.statement = statement.to_text();
    document.signature = Some(signer.sign(document.statement.as_bytes(), ""));
    refused(&document, &app, &signer).says("expected hello, found other");
}

/// Flips bits in the statement, the signature, and the comment, which is signed, too.
#[test]
fn a_flipped_bit_in_statement_or_signature_is_refused() {
    let (signer, app) = (Signer::new(), app());
    let good = signed(&app, &signer, "timestamp:1");
    let mock = Mock::start();
    let bootstrap = bootstrap(&mock, &signer);
    let signature = good.signature.clone().unwrap();
    let trusted = signature.find('\n').unwrap() + 1;
    let end = signature.trim_end().len();
    let mut flips = 0;
    // A sample, because unit tests flip every bit.
    for position in (0..good.statement.len()).step_by(5) {
        let mut bytes = good.statement.clone().into_bytes();
        bytes[position] ^= 1;
        let mut document = good.clone();
        document.statement = String::from_utf8(bytes).unwrap();
        mock.once(STABLE, reply(&document));
        bootstrap.run().expect(77);
        flips += 1;
    }
    for position in (trusted..end).step_by(5) {
        let mut bytes = signature.clone().into_bytes();
        bytes[position] ^= 2;
        let mut document = good.clone();
        document.signature = Some(String::from_utf8(bytes).unwrap());
        mock.once(STABLE, reply(&document));
        bootstrap.run().expect(77);
        flips += 1;
    }
    assert!(flips > 100, "{flips}");
}

#[test]
fn with_trusted_keys_only_numbered_releases_start() {
    let signer = Signer::new();
    for reference in ["hello", "hello@latest", "hello@1.0.0"] {
        // bootstrap refuses the reference before it sends a request.
        let bootstrap = Bootstrap::with(&[reference, "127.0.0.1:1"]);
        let keys = bootstrap.home().join("keys");
        fs::write(&keys, signer.public_key()).unwrap();
        bootstrap
            .env("BOOTSTRAP_TRUSTED_KEYS_FILE", keys)
            .run()
            .expect(77)
            .says("allows only numbered releases");
    }
}

#[test]
fn releases_below_the_minimum_are_refused() {
    let (signer, app) = (Signer::new(), app());
    let mock = Mock::start();
    mock.always(STABLE, reply(&signed(&app, &signer, "")));
    mock.always(&app.path(), app.file_reply());
    let with_minimum =
        |minimum: &str| bootstrap(&mock, &signer).env("BOOTSTRAP_MIN_RELEASE", minimum);
    with_minimum("r42").run().expect(7);
    with_minimum("41").run().expect(7);
    with_minimum("r43").run().expect(77).says("below r43");
    // The minimum applies without keys, too.
    Bootstrap::with(&["hello@stable", &mock.address().to_string()])
        .env("BOOTSTRAP_MIN_RELEASE", "r43")
        .run()
        .expect(77);
}

#[test]
fn invalid_keys_are_an_error() {
    let bootstrap = Bootstrap::with(&["hello@stable", "127.0.0.1:1"]);
    for (content, what) in [("", "contains no key"), ("RWnonsense\n", "whose line 1")] {
        let keys = bootstrap.home().join("keys");
        fs::write(&keys, content).unwrap();
        bootstrap
            .run_with("BOOTSTRAP_TRUSTED_KEYS_FILE", keys.to_str().unwrap())
            .expect(64)
            .says(what);
    }
    bootstrap
        .run_with("BOOTSTRAP_TRUSTED_KEYS_FILE", "/nowhere")
        .expect(64)
        .says("which cannot be read");
}

/// An app that can write to its tree can change files and restore their times.
#[test]
fn a_tree_that_the_app_can_write_to_is_unpacked_again() {
    let (signer, app) = (Signer::new(), app());
    let mock = Mock::start();
    mock.always(STABLE, reply(&signed(&app, &signer, "")));
    mock.always(&app.path(), app.file_reply());
    let bootstrap = bootstrap(&mock, &signer);
    bootstrap.run().expect(7);
    bootstrap
        .run()
        .expect(7)
        .says("the app could have written to it");
    assert_eq!(mock.requests(&app.path()).len(), 2);
}

/// An offline start checks the signature, too.
#[test]
fn an_unsigned_release_does_not_start_offline() {
    let (signer, app) = (Signer::new(), app());
    let mock = Mock::start();
    mock.always(STABLE, reply(&signed(&app, &signer, "")));
    mock.always(&app.path(), app.file_reply());
    let bootstrap = bootstrap(&mock, &signer).env("BOOTSTRAP_OFFLINE", "allow");
    bootstrap.run().expect(7);
    let bootstrap = bootstrap.env("BOOTSTRAP_DEADLINE", "2s");
    drop(mock);
    let saved_release = fs::read_dir(bootstrap.dir()).unwrap().flatten();
    let saved_release = saved_release
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().contains("/.release-"))
        .unwrap();
    let plain =
        serde_json::json!({ "Plain": { "layers": [["app", app.config]], "sha256": app.digest() } });
    let unsigned =
        serde_json::json!({ "Document": serde_json::to_string(&app.document()).unwrap() });
    for (content, code) in [(plain, 73), (unsigned, 77)] {
        let saved =
            serde_json::json!({ "tree": app.digest(), "pinned": false, "release": content });
        fs::write(&saved_release, saved.to_string()).unwrap();
        bootstrap.run().expect(code);
    }
}

/// Publishes, releases, signs the statement, publishes the signature, and starts the app.
#[test]
fn a_signed_release_starts_from_the_real_repository() {
    let (_storage, server) = Server::fresh();
    let (signer, app) = (Signer::new(), app());
    server.publish(&app.path(), &app.artefact);
    server.publish("/config/hello/hello.config", &app.config);
    assert_eq!(server.put("/channels/hello/stable", "1.0.0").status, 201);
    let bootstrap = Bootstrap::with(&["hello@stable", &server.address.to_string()]);
    let keys = bootstrap.home().join("keys");
    fs::write(&keys, signer.public_key()).unwrap();
    let bootstrap = bootstrap.env("BOOTSTRAP_TRUSTED_KEYS_FILE", keys);
    bootstrap.run().expect(77).says("the release is not signed");

    let path = "/releases/hello/r1.minisig";
    assert_eq!(server.get(path).status, 404);
    let statement = server.get("/releases/hello/r1?statement");
    let signature = signer.sign(&statement.body, "expires:2999-12-31");
    for (put, status) in [
        ("no signature", 422),
        (&signature.replace("\nRU", "\nRW"), 422),
        (&signature, 201),
        (&signature, 200),
        (&signer.sign(&statement.body, "another"), 409),
    ] {
        let response = server.put(path, put);
        assert_eq!(response.status, status, "{}", response.text());
    }
    assert_eq!(server.get(path).text(), signature);
    assert_eq!(
        server.put("/releases/hello/r2.minisig", &signature).status,
        404
    );
    assert_eq!(server.put("/releases/hello/r1", &signature).status, 405);
    bootstrap.run().expect(7);

    // The signature belongs to the release. A new release on the channel is unsigned.
    server.publish(
        "/config/hello/hello.config",
        "STARTUP_COMMAND='bin/probe exit 8'\n",
    );
    assert_eq!(server.put("/channels/hello/stable", "1.0.0").status, 201);
    bootstrap.run().expect(77).says("the release is not signed");
    assert_eq!(server.put("/channels/hello/stable", "r1").status, 201);
    bootstrap.run().expect(7);
}
