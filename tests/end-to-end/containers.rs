//! The images in containers: a normal start and stop, restricted containers, and mistakes of Docker users.

use std::time::{Duration, Instant};

use platformer_tests::docker::{self, Container, LOCKED_DOWN, Repository, Sample};
use platformer_tests::http;
use platformer_tests::run::eventually;

/// Runs `docker run OPTIONS IMAGE hello-world repository.platform`.
fn start_hello(repository: &Repository, options: &[&str], image: &str) -> Container {
    let network = &repository.network.0;
    let network = ["--network", network, "--publish", "127.0.0.1::8080"];
    let arguments = [image, "hello-world", "repository.platform"];
    Container::run(&[&network[..], options, &arguments].concat())
}

/// Waits until hello-world answers.
pub(crate) fn wait_for_greeting(container: &Container) {
    let running = || container.inspect("{{.State.Running}}") == "true";
    eventually("hello-world answers", || {
        assert!(running(), "{}", container.logs());
        container.logs().contains("starting ./hello-world")
            && std::net::TcpStream::connect(container.port("8080")).is_ok_and(|mut connection| {
                use std::io::{Read as _, Write as _};
                let mut answer = String::new();
                let sent = connection.write_all(
                    b"GET /greeting?name=Docker HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                );
                sent.is_ok()
                    && connection.read_to_string(&mut answer).is_ok()
                    && answer.contains("Hello, Docker!")
            })
    });
}

#[test]
fn an_app_starts_stops_and_restarts() {
    docker::require_images();
    let repository = Repository::with(&["hello-world"]);
    let app = start_hello(&repository, &[], "platformer/app-base");
    wait_for_greeting(&app);
    let answer = http::get(app.port("8080"), "/greeting");
    assert_eq!(answer.json()["content"], "Hello, World!");
    let identity = answer.header("x-platform-app").unwrap().to_owned();
    let version = Sample::packed("hello-world").version;
    assert!(
        identity.starts_with(&format!("hello-world {version} ")),
        "{identity}"
    );
    eventually("the app is healthy", || app.is_healthy());
    eventually("the repository is healthy", || {
        repository.container.is_healthy()
    });

    // The app exits before docker sends SIGKILL, after 10 s by default.
    let begin = Instant::now();
    assert_eq!(app.stop(), 0);
    assert!(begin.elapsed() < Duration::from_secs(9));

    // A restart downloads nothing.
    docker::succeed(&["start", &app.0]);
    wait_for_greeting(&app);
    assert!(app.logs().contains("nothing is downloaded"));

    // The volume of the repository survives a restart of the container.
    let container = &repository.container.0;
    docker::succeed(&["restart", container]);
    eventually("the repository is healthy after the restart", || {
        docker::exec(container, &["repository", "healthcheck"])
            .status
            .success()
    });
    let listing = http::get(repository.address(), "/artefacts/").json();
    assert_eq!(listing["apps"], serde_json::json!(["hello-world"]));
}

#[test]
fn a_locked_down_container_works_with_and_without_an_init_of_docker() {
    docker::require_images();
    let repository = Repository::with(&["hello-world"]);
    let user = ["--user", "10001", "--tmpfs", "/app:exec,uid=10001"];
    let locked_down = [&LOCKED_DOWN[..], &user].concat();
    for image in ["platformer/app-base", "platformer/app-base:static"] {
        for init in [false, true] {
            let mut options = locked_down.clone();
            options.extend(init.then_some("--init"));
            let app = start_hello(&repository, &options, image);
            wait_for_greeting(&app);
            let health = docker::exec(&app.0, &["/usr/local/bin/bootstrap", "healthcheck"]);
            assert!(
                health.status.success(),
                "{image}: {}",
                String::from_utf8_lossy(&health.stderr)
            );
            assert_eq!(app.stop(), 0, "{image} {}", app.logs());
        }
    }
    // A user without an entry in /etc/passwd works, if the user owns the volume.
    let app = start_hello(
        &repository,
        &["--user", "4711:4711", "--tmpfs", "/app:exec,uid=4711"],
        "platformer/app-base",
    );
    wait_for_greeting(&app);
}

/// The health check runs as root. In a container, root may not inspect the processes of other users.
#[test]
fn a_container_that_starts_as_root_runs_the_app_as_another_user() {
    docker::require_images();
    let repository = Repository::with(&["hello-world"]);
    for mode in ["BOOTSTRAP_MODE=supervise", "BOOTSTRAP_MODE=exec"] {
        let user = [
            "--user",
            "0",
            "--env",
            "BOOTSTRAP_USER=10001",
            "--env",
            mode,
        ];
        let app = start_hello(&repository, &user, "platformer/app-base");
        wait_for_greeting(&app);
        let uids = docker::exec_ok(&app.0, &["grep", "Uid", "/proc/1/status"]);
        assert_eq!(
            uids.split_whitespace().skip(1).collect::<Vec<_>>(),
            ["10001"; 4],
            "{mode}"
        );
        let health = docker::exec(&app.0, &["bootstrap", "healthcheck"]);
        assert!(
            health.status.success(),
            "{mode}: {}",
            String::from_utf8_lossy(&health.stderr)
        );
        assert_eq!(app.stop(), 0, "{mode} {}", app.logs());
    }
}

#[test]
fn all_users_may_write_to_tmp() {
    docker::require_images();
    for image in ["platformer/app-base", "platformer/app-base:static"] {
        let container = Container::create(image);
        let archive = docker::docker(&["cp", &format!("{}:/tmp", container.0), "-"]).stdout;
        // The permission bits in the header of the first entry (POSIX ustar).
        assert_eq!(
            String::from_utf8_lossy(&archive[103..107]),
            "1777",
            "{image}"
        );
    }
}

#[test]
fn common_docker_mistakes_are_explained() {
    docker::require_images();
    let repository = Repository::with(&["hello-world"]);
    let fails = |options: &[&str], code: i32, text: &str| {
        let mut options = options.to_vec();
        options.extend(["--env", "BOOTSTRAP_DEADLINE=2s"]);
        let app = start_hello(&repository, &options, "platformer/app-base");
        assert_eq!(app.wait(), code, "{}", app.logs());
        assert!(app.logs().contains(text), "{text:?} in {}", app.logs());
    };
    // A tmpfs is noexec by default.
    fails(&["--tmpfs", "/app:uid=10001"], 73, "mounted noexec");
    fails(&["--read-only"], 73, "the file system is read-only");
    fails(
        &["--user", "4711"],
        73,
        "give the directory to the container's user",
    );
    // The default bridge network has no DNS.
    let app = Container::run(&[
        "--env",
        "BOOTSTRAP_DEADLINE=2s",
        "platformer/app-base",
        "hello-world",
        "repository.platform",
    ]);
    assert_eq!(app.wait(), 69);
    assert!(
        app.logs()
            .contains("start both containers with --network NAME"),
        "{}",
        app.logs()
    );
}

#[test]
fn a_container_in_back_off_stops_at_once() {
    docker::require_images();
    let app = Container::run(&["platformer/app-base", "hello-world", "127.0.0.1:1"]);
    eventually("bootstrap backs off", || app.logs().contains("attempt 2"));
    let begin = Instant::now();
    assert_eq!(app.stop(), 143);
    assert!(
        begin.elapsed() < Duration::from_secs(8),
        "bootstrap ignored SIGTERM"
    );
    assert!(app.logs().contains("stopped by SIGTERM"));
}
