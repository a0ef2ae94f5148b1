//! The TLS server of the repository.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use platformer_tests::binaries;
use platformer_tests::dice::Dice;
use platformer_tests::fixture::{App, Bootstrap};
use platformer_tests::run::{self, Exit, eventually};
use platformer_tests::server::Server;
use tempfile::TempDir;

struct Certified {
    directory: TempDir,
}

impl Certified {
    fn new() -> Self {
        let certified = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        certified.renew();
        certified
    }

    fn certificate(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    fn renew(&self) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let issued = rcgen::generate_simple_self_signed(names).unwrap();
        fs::write(self.certificate(), issued.cert.pem()).unwrap();
        fs::write(self.key(), issued.signing_key.serialize_pem()).unwrap();
    }

    fn start(&self, storage: &Path) -> Server {
        let (certificate, key) = (self.certificate(), self.key());
        let settings = [
            ("TLS_CERT", certificate.to_str().unwrap()),
            ("TLS_KEY", key.to_str().unwrap()),
            ("HEADER_TIMEOUT", "1s"),
        ];
        Server::start_with(storage, &settings)
    }

    fn curl(&self, arguments: &[&str], url: &str) -> Exit {
        let certificate = self.certificate();
        let always = ["-sS", "--cacert", certificate.to_str().unwrap()];
        let arguments = [&always, arguments, &[url]].concat();
        run::spawn(Path::new("curl"), &arguments, &[]).wait()
    }
}

fn url(server: &Server, path: &str) -> String {
    format!("https://{}{path}", server.address)
}

#[test]
fn published_files_can_be_read() {
    let certified = Certified::new();
    let storage = tempfile::tempdir().unwrap();
    let server = certified.start(storage.path());
    let files = tempfile::tempdir().unwrap();
    let (sent, received) = (files.path().join("sent"), files.path().join("received"));
    let mut dice = Dice::new(12);
    for (number, size) in [0, 1000, 20_000, 100_000, 3 << 20, 9 << 20]
        .into_iter()
        .enumerate()
    {
        let bytes = dice.noise(size);
        fs::write(&sent, &bytes).unwrap();
        let url = url(&server, &format!("/artefacts/hello/1.{number}.0/f"));
        let put = ["--fail-with-body", "-T", sent.to_str().unwrap()];
        certified.curl(&put, &url).expect(0);
        for _ in 0..2 {
            let get = ["--fail-with-body", "-o", received.to_str().unwrap()];
            certified.curl(&get, &url).expect(0);
            assert!(fs::read(&received).unwrap() == bytes, "{size} bytes");
        }
        if size > 1000 {
            let part = ["-r", "500-900", "-o", received.to_str().unwrap()];
            certified.curl(&part, &url).expect(0);
            assert_eq!(fs::read(&received).unwrap(), bytes[500..=900]);
        }
    }
    let environment = [
        (
            "REPOSITORY_LISTEN".into(),
            server.address.to_string().into(),
        ),
        ("REPOSITORY_TLS_CERT".into(), certified.certificate().into()),
        ("REPOSITORY_TLS_KEY".into(), certified.key().into()),
    ];
    run::spawn(&binaries::repository(), &["healthcheck"], &environment)
        .wait()
        .expect(0);
    server.stop().expect(0);
}

/// The server reads the file while another process truncates the file.
#[test]
fn a_truncated_file_does_not_end_the_process() {
    let certified = Certified::new();
    let storage = tempfile::tempdir().unwrap();
    let server = certified.start(storage.path());
    let files = tempfile::tempdir().unwrap();
    let sent = files.path().join("sent");
    for (number, size) in [100_000, 9 << 20].into_iter().enumerate() {
        fs::write(&sent, Dice::new(13).noise(size)).unwrap();
        let url = url(&server, &format!("/artefacts/hello/1.{number}.0/f"));
        let put = ["--fail-with-body", "-T", sent.to_str().unwrap()];
        certified.curl(&put, &url).expect(0);
        let get = ["--fail-with-body", "-o", "/dev/null"];
        certified.curl(&get, &url).expect(0);
        for blob in fs::read_dir(storage.path().join("blobs")).unwrap() {
            let blob = fs::File::options().write(true).open(blob.unwrap().path());
            blob.unwrap().set_len(50_000).unwrap();
        }
        let cut = certified.curl(&get, &url);
        assert_ne!(cut.code, 0, "curl accepted half a file");
    }
    certified
        .curl(&["--fail-with-body"], &url(&server, "/readyz"))
        .expect(0);
    server.stop().expect(0);
}

#[test]
fn a_renewed_certificate_is_loaded() {
    let certified = Certified::new();
    let storage = tempfile::tempdir().unwrap();
    let server = certified.start(storage.path());
    let ready = url(&server, "/readyz");
    certified.curl(&["--fail-with-body"], &ready).expect(0);
    // The server ignores an invalid certificate and keeps the old one.
    let good = fs::read(certified.certificate()).unwrap();
    fs::write(certified.certificate(), "no certificate").unwrap();
    server
        .process()
        .wait_for_stderr("failed to reload the certificate");
    fs::write(certified.certificate(), &good).unwrap();
    certified.curl(&["--fail-with-body"], &ready).expect(0);
    certified.renew();
    eventually("the new one is in use", || {
        certified.curl(&["--fail-with-body"], &ready).code == 0
    });
    server.stop().expect(0);
}

#[test]
fn a_client_without_tls_is_disconnected() {
    let certified = Certified::new();
    let storage = tempfile::tempdir().unwrap();
    let server = certified.start(storage.path());
    for bytes in [
        &b""[..],
        b"\x16",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let begin = Instant::now();
        let mut connection = TcpStream::connect(server.address).unwrap();
        connection
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        connection.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{bytes:?}");
        assert!(begin.elapsed() < Duration::from_secs(50), "{bytes:?}");
    }
    server.stop().expect(0);
    for (missing, names) in [
        ("TLS_KEY", "REPOSITORY_TLS_KEY"),
        ("TLS_CERT", "REPOSITORY_TLS_CERT"),
    ] {
        let mut environment = vec![
            ("REPOSITORY_TLS_CERT".into(), certified.certificate().into()),
            ("REPOSITORY_TLS_KEY".into(), certified.key().into()),
        ];
        environment.retain(|(name, _): &(std::ffi::OsString, _)| {
            name.to_str() != Some(&format!("REPOSITORY_{missing}"))
        });
        run::spawn::<&str>(&binaries::repository(), &[], &environment)
            .wait()
            .expect(1)
            .says(&format!("{names} is not"));
    }
}

#[test]
fn bootstrap_sends_its_token_over_https() {
    let certified = Certified::new();
    let storage = tempfile::tempdir().unwrap();
    let location = format!("file://{}", storage.path().display());
    let environment = [("REPOSITORY_STORAGE".into(), location.into())];
    let token = |arguments: &[&str]| {
        let arguments = [&["token", "create"], arguments].concat();
        let made = run::spawn(&binaries::repository(), &arguments, &environment).wait();
        made.expect(0);
        made.stdout.trim().to_owned()
    };
    let ci = token(&["ci", "publish:hello", "config:hello"]);
    let app_token = token(&["app", "read:hello"]);
    let server = certified.start(storage.path());
    let app = App::script("echo started");
    let files = tempfile::tempdir().unwrap();
    let sent = files.path().join("sent");
    fs::write(&sent, &app.artefact).unwrap();
    let user = format!("token:{ci}");
    let put = [
        "--fail-with-body",
        "-u",
        &user,
        "-T",
        sent.to_str().unwrap(),
    ];
    certified.curl(&put, &url(&server, &app.path())).expect(0);
    fs::write(&sent, "STARTUP_COMMAND=./run.sh\n").unwrap();
    let config = url(&server, "/config/hello/hello.config");
    certified.curl(&put, &config).expect(0);
    let start = |token: &str| {
        Bootstrap::with(&["hello", &url(&server, "")])
            .env("BOOTSTRAP_CA_FILE", certified.certificate())
            .env("BOOTSTRAP_TOKEN", token)
            .run()
    };
    let started = start(&app_token);
    started.expect(0).does_not_say(&app_token);
    assert_eq!(started.stdout, "started\n");
    start(&ci).expect(77).says("read:hello");
    start("rpt_none").expect(77);
}
