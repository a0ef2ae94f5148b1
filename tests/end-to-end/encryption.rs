//! HTTPS: the certificates that bootstrap trusts.

use std::fs;
use std::process::Command;

use platformer_tests::archive::{Entry, Tar, gzip};
use platformer_tests::skip::skip;
use platformer_tests::{binaries, run};

use platformer_tests::fixture::{APP, App, Bootstrap};
use platformer_tests::mock::Mock;
use platformer_tests::server::Server;
use platformer_tests::tls::Tls;

#[test]
fn bootstrap_refuses_certificates_that_it_cannot_verify() {
    let mock = Mock::start();
    App::script("echo started").publish(&mock);
    let tls = Tls::in_front_of(mock.address());
    let bootstrap = Bootstrap::with(&[APP, &format!("https://localhost:{}", tls.port)]);
    bootstrap
        .run()
        .expect(76)
        .says("certificate does not verify")
        .says("BOOTSTRAP_CA_FILE");

    let file = bootstrap.home().join("ca.pem");
    std::fs::write(&file, &tls.certificate).unwrap();
    let bootstrap = bootstrap.env("BOOTSTRAP_CA_FILE", file.clone());
    assert_eq!(bootstrap.run().expect(0).stdout, "started\n");

    // A trusted authority, but a certificate for another name.
    let other = Bootstrap::with(&[APP, &format!("https://127.0.0.1:{}", tls.port)])
        .env("BOOTSTRAP_CA_FILE", file.clone());
    other.run().expect(76).says("certificate does not verify");

    for (content, text) in [
        ("no PEM", "contains no certificate"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "malformed",
        ),
    ] {
        std::fs::write(&file, content).unwrap();
        let bootstrap =
            Bootstrap::with(&[APP, "https://localhost:1"]).env("BOOTSTRAP_CA_FILE", file.clone());
        bootstrap.run().expect(64).says(text);
    }
}

#[test]
fn a_server_without_tls_is_refused() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    let bootstrap = Bootstrap::with(&[APP, &format!("https://{}", server.address)]);
    bootstrap.run().expect(76).says("does not speak TLS");
}

/// The root directory contains only bootstrap and the certificate of an authority.
#[test]
fn publish_fetch_and_exec_over_https_in_an_empty_root() {
    if !binaries::are_static() {
        skip("the binaries are not static: rustup cannot add the musl target");
    }
    let root = tempfile::tempdir().unwrap();
    let chroot = Command::new("chroot").arg("/").arg("true").output();
    if !chroot.is_ok_and(|output| output.status.success()) {
        skip("needs root, for chroot");
    }
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    let tls = Tls::named("127.0.0.1", server.address);
    let authority = root.path().join("authority.pem");
    fs::write(&authority, &tls.certificate).unwrap();
    fs::copy(binaries::bootstrap(), root.path().join("bootstrap")).unwrap();
    let probe = fs::read(binaries::probe()).unwrap();
    let files = tempfile::tempdir().unwrap();
    let artefact = files.path().join("artefact");
    fs::write(
        &artefact,
        gzip(&Tar::new([Entry::file("probe", probe).mode(0o755)]).finish()),
    )
    .unwrap();
    let config = files.path().join("config");
    fs::write(&config, "STARTUP_COMMAND='./probe show'\nGREETING=hello\n").unwrap();
    let origin = format!("https://127.0.0.1:{}", tls.port);
    for (file, path) in [
        (&artefact, "artefacts/hello/1.0.0/hello-1.0.0.tar.gz"),
        (&config, "config/hello/hello.config"),
    ] {
        let published = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--fail-with-body",
                "-H",
                "Expect:",
            ])
            .arg("--cacert")
            .arg(&authority)
            .arg("-T")
            .arg(file)
            .arg(format!("{origin}/{path}"))
            .output();
        let Ok(published) = published else {
            skip("curl is not installed (install curl)");
        };
        assert!(published.status.success(), "{published:?}");
    }
    for mode in ["supervise", "exec"] {
        let ended = run::spawn(
            "chroot".as_ref(),
            &[
                root.path().to_str().unwrap(),
                "/bootstrap",
                "hello",
                &origin,
            ],
            &[
                ("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into()),
                ("BOOTSTRAP_CA_FILE".into(), "/authority.pem".into()),
                ("BOOTSTRAP_MODE".into(), mode.into()),
            ],
        )
        .wait();
        ended.expect(0);
        assert_eq!(ended.variable("GREETING"), Some("hello"), "{mode}");
    }
}
