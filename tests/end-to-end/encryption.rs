//! HTTPS: whom bootstrap trusts.

use platformer_tests::fixture::{APP, App, Bootstrap};
use platformer_tests::mock::Mock;
use platformer_tests::server::Server;
use platformer_tests::tls::Tls;

#[test]
fn only_a_certificate_that_verifies_is_talked_to() {
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

    // The right authority, and another name than the certificate's.
    let other = Bootstrap::with(&[APP, &format!("https://127.0.0.1:{}", tls.port)])
        .env("BOOTSTRAP_CA_FILE", file.clone());
    other.run().expect(76).says("certificate does not verify");

    for (content, text) in [
        ("no PEM", "holds no certificate"),
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
fn a_server_that_speaks_no_tls_is_no_repository() {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    let bootstrap = Bootstrap::with(&[APP, &format!("https://{}", server.address)]);
    bootstrap.run().expect(76).says("does not speak TLS");
}
