//! Each exit code, with its error message.

use std::fs;
use std::process::Command;

use platformer_tests::fixture::{APP, App, Bootstrap, RELEASE};
use platformer_tests::mock::{Mock, Reply};
use platformer_tests::skip::skip;
use platformer_tests::{binaries, run};
use repository_api::release::{LayerContent, LayerName};

fn with_document(change: impl FnOnce(&mut repository_api::release::ReleaseDocument)) -> Mock {
    let mock = Mock::start();
    let mut document = App::script("true").document();
    change(&mut document);
    mock.always(RELEASE, Reply::ok(serde_json::to_vec(&document).unwrap()));
    mock
}

#[test]
fn usage_is_64() {
    for (arguments, text) in [
        (&["Hello", "localhost"][..], "isn't an app name"),
        (&["hello@v1.0", "localhost"], "write 1.0"),
        (&["hello"], "BOOTSTRAP_REPOSITORY"),
        (&[], "BOOTSTRAP_APP"),
        (&["hello", "ftp://host"], "expected http:// or https://"),
        (&["hello", "host", "extra"], "too many arguments"),
    ] {
        Bootstrap::with(arguments).run().expect(64).says(text);
    }
    Bootstrap::with(&[APP, "host"])
        .env("BOOTSTRAP_DEADLINE", "soon")
        .run()
        .expect(64)
        .says("BOOTSTRAP_DEADLINE");
    Bootstrap::with(&[APP, "host"])
        .env("BOOTSTRAP_TOKEN_FILE", "/nowhere")
        .run()
        .expect(64)
        .says("BOOTSTRAP_TOKEN_FILE");
}

#[test]
fn damaged_data_is_65() {
    let mock = Mock::start();
    let app = App::script("true");
    app.announce(&mock);
    mock.always(&app.path(), Reply::ok(vec![b'x'; app.artefact.len()]));
    Bootstrap::of(&mock)
        .run()
        .expect(65)
        .says("expected sha256:")
        .says("fetching it once more");
    assert_eq!(
        mock.requests(&app.path()).len(),
        2,
        "bootstrap downloads the artefact once more"
    );

    let mock = Mock::start();
    App::new("hello-1.0.0.tar.gz", "no archive").publish(&mock);
    Bootstrap::of(&mock)
        .run()
        .expect(65)
        .says("cannot be read as gzip");

    let mock = Mock::start();
    App::script("true").announce(&mock);
    Bootstrap::of(&mock)
        .env("BOOTSTRAP_MAX_DOWNLOAD", "5B")
        .run()
        .expect(65)
        .says("BOOTSTRAP_MAX_DOWNLOAD");

    let damaged = with_document(|document| document.config[0].content.push('#'));
    Bootstrap::of(&damaged)
        .run()
        .expect(65)
        .says("config layer app is damaged");
    assert_eq!(
        damaged.requests(RELEASE).len(),
        2,
        "bootstrap downloads the artefact once more"
    );
}

#[test]
fn a_missing_app_or_artefact_is_66() {
    let mock = Mock::start();
    mock.always(
        RELEASE,
        Reply::problem(404, "there is no app hello: publish it"),
    );
    Bootstrap::of(&mock)
        .run()
        .expect(66)
        .says("there is no app hello: publish it");

    let mock = Mock::start();
    for path in [
        RELEASE,
        "/config/_default/_default.config",
        "/config/hello/hello.config",
    ] {
        mock.always(path, Reply::absent());
    }
    Bootstrap::of(&mock)
        .run()
        .expect(66)
        .says("neither a release document nor");

    let mock = Mock::start();
    mock.always(RELEASE, Reply::problem(410, "purged"));
    Bootstrap::of(&mock).run().expect(66).says("purged");
}

#[test]
fn an_unavailable_repository_is_69() {
    Bootstrap::with(&[APP, "127.0.0.1:1"])
        .env("BOOTSTRAP_DEADLINE", "500ms")
        .run()
        .expect(69)
        .says("did not succeed within 500ms");
    Bootstrap::with(&[APP, "nowhere.invalid"])
        .env("BOOTSTRAP_DEADLINE", "500ms")
        .run()
        .expect(69)
        .says("failed to resolve nowhere.invalid");
}

#[test]
fn an_unusable_directory_is_73() {
    let mock = Mock::start();
    App::script("true").announce(&mock);
    let bootstrap = Bootstrap::of(&mock);
    fs::write(bootstrap.dir(), "a file where the directory should be").unwrap();
    bootstrap.run().expect(73).says("failed to write to");
    // The container tests cover missing write permission, because they run as other users.
}

#[test]
fn a_full_disk_is_73() {
    let mock = Mock::start();
    App::script(&format!("true #{}", "x".repeat(200_000))).publish(&mock);
    let bootstrap = Bootstrap::of(&mock);
    fs::create_dir(bootstrap.dir()).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=64k tmpfs {0} && BOOTSTRAP_DIR={0} exec {1} hello {2}",
        bootstrap.dir().display(),
        binaries::bootstrap().display(),
        mock.address()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c"]);
    let can = Command::new("unshare")
        .args(["--mount", "--map-root-user", "true"])
        .status();
    if !can.is_ok_and(|status| status.success()) {
        skip("a mount namespace cannot be made (needs root or user namespaces)");
    }
    run::spawn_command(command.arg(script))
        .wait()
        .expect(73)
        .says("no space is left there");
}

#[test]
fn an_answer_that_is_not_from_a_repository_is_76() {
    let cases: [(Reply, &str); 4] = [
        (Reply::ok("<html>hello</html>"), "cannot be read"),
        (Reply::new(204, ""), "204"),
        (Reply::new(400, "no"), "400"),
        (
            Reply::new(301, "").header("Location", "http://elsewhere.invalid/"),
            "another origin",
        ),
    ];
    for (reply, text) in cases {
        let mock = Mock::start();
        mock.always(RELEASE, reply);
        Bootstrap::of(&mock).run().expect(76).says(text);
    }
    let banner = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = banner.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        use std::io::Write as _;
        for mut connection in banner.incoming().flatten() {
            let _ = std::io::Read::read(&mut connection, &mut [0; 1024]);
            let _ = connection.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        }
    });
    Bootstrap::with(&[APP, &address])
        .run()
        .expect(76)
        .says("does not speak HTTP");
    let other = with_document(|document| {
        document.statement = document.statement.replace("\"hello\"", "\"other\"");
    });
    Bootstrap::of(&other)
        .run()
        .expect(76)
        .says("expected hello, found other");
    let missing = with_document(|document| document.config.clear());
    Bootstrap::of(&missing)
        .run()
        .expect(76)
        .says("lacks the config layer app");
    // A layer of another environment.
    let more = with_document(|document| {
        let layer = LayerName::try_from("other".to_owned()).unwrap();
        document.config.push(LayerContent {
            layer,
            content: "$$$".to_owned(),
        });
        document.config[0].content.push(' ');
    });
    Bootstrap::of(&more)
        .run()
        .expect(65)
        .says("layer app is damaged");
}

#[test]
fn a_document_for_another_app_or_version_is_76() {
    let app = App::script("true");
    for (reference, path) in [("2.0.0", "2.0.0"), ("r7", "r7"), ("stable", "stable")] {
        let mock = Mock::start();
        mock.always(&format!("/releases/hello/{path}"), app.document_reply());
        let address = mock.address().to_string();
        Bootstrap::with(&[&format!("hello@{reference}"), &address])
            .run()
            .expect(76)
            .says("sent another release");
    }
}

#[test]
fn a_refusal_of_access_is_77() {
    for status in [401, 403] {
        let mock = Mock::start();
        mock.always(RELEASE, Reply::new(status, ""));
        Bootstrap::of(&mock)
            .run()
            .expect(77)
            .says("BOOTSTRAP_TOKEN_FILE");
        assert_eq!(mock.requests(RELEASE).len(), 1);
    }
}

#[test]
fn an_invalid_config_is_78() {
    let cases = [
        ("A=$HOME\n", "config layer app, line 1, column 3"),
        ("A=1\n", "no STARTUP_COMMAND"),
        ("STARTUP_COMMAND='a; b'\n", "sh -c '…'"),
        ("STARTUP_COMMAND='./run.sh $NOPE'\n", "$NOPE is not defined"),
        (
            "STARTUP_COMMAND=a\nSTOP_SIGNAL=NOPE\n",
            "STOP_SIGNAL is invalid",
        ),
        (
            "STARTUP_COMMAND=a\nGRACE_PERIOD=soon\n",
            "GRACE_PERIOD is invalid",
        ),
    ];
    for (config, text) in cases {
        let mock = Mock::start();
        App::script("true").with_config(config).publish(&mock);
        Bootstrap::of(&mock).run().expect(78).says(text);
    }
    let mock = Mock::start();
    App::script("true")
        .with_config("STARTUP_COMMAND=a\nSTOP_SIGNAL=TERM\n")
        .publish(&mock);
    Bootstrap::of(&mock)
        .env("BOOTSTRAP_STOP_SIGNAL", "NOPE")
        .run()
        .expect(64)
        .says("BOOTSTRAP_STOP_SIGNAL");
    Bootstrap::of(&mock)
        .env("BOOTSTRAP_SECRETS_DIR", "/nowhere")
        .run()
        .expect(78)
        .says("as uid");
}

#[test]
fn an_environment_that_is_too_large_for_the_kernel_is_78() {
    let mock = Mock::start();
    let mut config = "STARTUP_COMMAND=./run.sh
"
    .to_owned();
    for number in 0..8 {
        config.push_str(&format!(
            "V{number}={}
",
            "x".repeat(131_000)
        ));
    }
    App::script("true").with_config(&config).publish(&mock);
    let mut bootstrap = Bootstrap::of(&mock);
    for number in 0..20 {
        bootstrap = bootstrap.env(&format!("W{number}"), "x".repeat(100_000));
    }
    // execve(2) accepts a quarter of the stack limit, which is usually 8 MiB. Together with the config, this is more.
    let ended = bootstrap.run();
    ended.expect(78).says("too long for the kernel");
}

#[test]
fn errors_contain_no_secrets() {
    let mock = Mock::start();
    let document = serde_json::json!({ "statement": App::script("true").statement().to_text(), "config": "PASSWORD=hunter2" });
    mock.always(RELEASE, Reply::ok(document.to_string()));
    Bootstrap::of(&mock)
        .run()
        .expect(76)
        .says("error at line 1")
        .does_not_say("hunter2");
    Bootstrap::with(&[APP, "host"])
        .env("BOOTSTRAP_TOKEN_FILE", "hunter2")
        .run()
        .expect(64)
        .does_not_say("hunter2");
    Bootstrap::with(&[APP, "host", "http://user:hunter2@host"])
        .run()
        .expect(64)
        .does_not_say("hunter2");
    let bad = Bootstrap::with(&[APP, "http://user:hunter2@127.0.0.1:1"])
        .env("BOOTSTRAP_DEADLINE", "300ms");
    bad.env("BOOTSTRAP_LOG", "trace")
        .run()
        .expect(69)
        .does_not_say("hunter2");
}

#[test]
fn commands_that_do_not_start_are_126_and_127() {
    for mode in ["supervise", "exec"] {
        let start = |app: App| {
            let mock = Mock::start();
            app.publish(&mock);
            Bootstrap::of(&mock).env("BOOTSTRAP_MODE", mode).run()
        };
        start(App::script("true").with_config("STARTUP_COMMAND=./nope\n"))
            .expect(127)
            .says("./nope is not found");
        start(App::script("true").with_config("STARTUP_COMMAND=no-such-command\n")).expect(127);
        let data = App::new("data.txt", "x").with_config("STARTUP_COMMAND=./data.txt\n");
        start(data).expect(126).says("mode 0755");
        let broken = App::new("run.sh", "#!/no/such/interpreter\n")
            .with_config("STARTUP_COMMAND=./run.sh\n");
        start(broken).expect(126).says("interpreter");
    }
}

#[test]
fn every_exit_code_of_the_app_is_passed_on() {
    // Runs the init without a download, because the init returns the code.
    for code in 0..=255 {
        let ended = run::spawn(
            &binaries::bootstrap(),
            &[
                "init",
                "--",
                binaries::probe().to_str().unwrap(),
                "exit",
                &code.to_string(),
            ],
            &[],
        )
        .wait();
        ended.expect(code);
    }
}

#[test]
fn an_app_that_a_signal_kills_is_128_plus_the_signal() {
    let mock = Mock::start();
    for signal in [1, 2, 6, 9, 11, 15, 34, 64] {
        App::probe(&format!("die {signal}")).publish(&mock);
        Bootstrap::of(&mock).run().expect(128 + signal);
    }
    App::probe("exit 143").publish(&mock);
    Bootstrap::of(&mock)
        .env("BOOTSTRAP_REMAP_EXIT", "143:0")
        .run()
        .expect(0);
}
