//! Custom domains and HTTPS.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use platformer_tests::docker;
use platformer_tests::http;
use platformer_tests::platform::{self, Platform};
use platformer_tests::run::eventually;

use super::{get, publish_and_deploy};

#[test]
fn a_domain_with_https_and_a_reload_in_place() {
    platform::require_compose();
    let platform = Platform::training();
    publish_and_deploy(&platform, "hello-world");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let generated = rcgen::generate_simple_self_signed(vec!["www.example.org".to_owned()]).unwrap();
    std::fs::write(directory.path().join("fullchain.pem"), generated.cert.pem()).unwrap();

    let add = [
        "domain",
        "add",
        "hello-world",
        "www.example.org",
        "--certificates",
        &path,
    ];
    let output = platform.run(&add);
    assert!(output.stderr.contains("privkey.pem"), "{}", output.stderr);
    let other = rcgen::generate_simple_self_signed(vec!["www.example.org".to_owned()]).unwrap();
    std::fs::write(
        directory.path().join("privkey.pem"),
        other.signing_key.serialize_pem(),
    )
    .unwrap();
    let output = platform.run(&add);
    assert!(
        output.stderr.contains("is not the key of"),
        "{}",
        output.stderr
    );
    let output = platform.run(&["domain", "add", "hello-world", "a;b.org"]);
    assert!(
        output.stderr.contains("isn't a host name"),
        "{}",
        output.stderr
    );
    assert_eq!(get(&platform, "www.example.org", "/greeting").status, 404);

    std::fs::write(
        directory.path().join("privkey.pem"),
        generated.signing_key.serialize_pem(),
    )
    .unwrap();
    let balancer = platform.container("loadbalancer");
    let started = || docker::succeed(&["inspect", "--format", "{{.State.StartedAt}}", &balancer]);
    let before = started();
    // A connection that is open before the reload still works.
    let mut connection = TcpStream::connect(platform.address).unwrap();
    platform.succeed(&add);
    connection
        .write_all(
            b"GET /greeting HTTP/1.1\r\nHost: hello-world.localhost\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(started(), before, "the load balancer was restarted");

    eventually("the domain answers", || {
        get(&platform, "www.example.org", "/greeting").status == 200
    });
    let answer = https_get(&platform, "www.example.org", generated.cert.der()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The load balancer has no certificate for another name.
    assert!(https_get(&platform, "other.example.org", generated.cert.der()).is_err());

    let listed = platform.json(&["domain", "list", "--json"]);
    assert_eq!(listed["domains"][0]["app"], "hello-world");
    let list = platform.succeed(&["domain", "list"]);
    let row: Vec<&str> = list.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(row, ["www.example.org", "hello-world", "yes"]);
    platform.succeed(&["domain", "remove", "www.example.org"]);
    eventually("the domain is gone", || {
        get(&platform, "www.example.org", "/greeting").status == 404
    });
    // The answer of an ACME client, as in docs/platform.md.
    let write = "printf %s answer > /var/lib/loadbalancer/acme/token";
    docker::exec_ok(&balancer, &["sh", "-c", write]);
    let challenge = |token: &str| {
        http::get(
            platform.address,
            &format!("/.well-known/acme-challenge/{token}"),
        )
    };
    assert_eq!(
        (
            challenge("token").status,
            challenge("token").text().as_str()
        ),
        (200, "answer")
    );
    assert_eq!(challenge("nothing").status, 404);
}

/// Sends a request over TLS, and trusts only this certificate.
fn https_get(
    platform: &Platform,
    name: &'static str,
    certificate: &rustls_pki_types::CertificateDer<'static>,
) -> std::io::Result<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let session =
        rustls::ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
    let connection = TcpStream::connect(platform.https_address)?;
    let mut stream = rustls::StreamOwned::new(session, connection);
    let request = format!("GET /greeting HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = vec![0; 1024];
    let read = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
}
