//! The images, in real containers.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use platformer_tests::docker::{self, Container, Network};
use platformer_tests::http;
use platformer_tests::run::eventually;
use xtask::build::Profile;
use xtask::pack::{self, Packed};

static PACKED: OnceLock<(PathBuf, Packed)> = OnceLock::new();

pub(crate) fn hello_world() -> &'static Packed {
    let (_, packed) = PACKED.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap().keep();
        let packed = pack::pack("hello-world", &directory, Profile::Release).unwrap();
        (directory, packed)
    });
    packed
}

/// A repository in a container, with hello-world published.
pub(crate) struct Platform {
    pub(crate) repository: Container,
    pub(crate) network: Network,
}

impl Platform {
    pub(crate) fn start() -> Self {
        let network = Network::new();
        let repository = Container::run(&[
            "--network",
            &network.0,
            "--network-alias",
            "repository.platform",
            "--publish",
            "127.0.0.1::80",
            "--env",
            "REPOSITORY_ANONYMOUS_WRITES=true",
            "platformer/repository",
        ]);
        let platform = Self {
            repository,
            network,
        };
        let address = platform.repository.port("80");
        eventually("the repository answers", || {
            std::net::TcpStream::connect(address).is_ok()
                && platform.repository.logs().contains("is ready")
        });
        let packed = hello_world();
        let version = &packed.version;
        let archive = std::fs::read(&packed.archive).unwrap();
        let path = format!("/artefacts/hello-world/{version}/hello-world-{version}.tar.gz");
        assert_eq!(http::put(address, &path, &archive).status, 201);
        let config = std::fs::read(&packed.config).unwrap();
        assert_eq!(
            http::put(address, "/config/hello-world/hello-world.config", &config).status,
            201
        );
        platform
    }

    /// `docker run OPTIONS IMAGE hello-world repository.platform`
    fn hello(&self, options: &[&str], image: &str) -> Container {
        let mut arguments = vec!["--network", &self.network.0, "--publish", "127.0.0.1::8080"];
        arguments.extend(options);
        arguments.extend([image, "hello-world", "repository.platform"]);
        Container::run(&arguments)
    }
}

pub(crate) fn greets(container: &Container) {
    let running = || container.inspect("{{.State.Running}}") == "true";
    eventually("the app greets", || {
        assert!(running(), "{}", container.logs());
        container.logs().contains("starting ./hello-world")
            && std::net::TcpStream::connect(container.port("8080")).is_ok_and(|mut connection| {
                use std::io::{Read as _, Write as _};
                let mut answer = String::new();
                let asked = connection.write_all(
                    b"GET /greeting?name=Docker HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                );
                asked.is_ok()
                    && connection.read_to_string(&mut answer).is_ok()
                    && answer.contains("Hello, Docker!")
            })
    });
}

#[test]
fn the_whole_story() {
    docker::require_images();
    let platform = Platform::start();
    let app = platform.hello(&[], "platformer/app-base");
    greets(&app);
    let answer = http::get(app.port("8080"), "/greeting");
    assert_eq!(answer.json()["content"], "Hello, World!");
    let who = answer.header("x-platform-app").unwrap().to_owned();
    assert!(
        who.starts_with(&format!("hello-world {} ", hello_world().version)),
        "{who}"
    );
    eventually("docker calls it healthy", || {
        app.inspect("{{.State.Health.Status}}") == "healthy"
    });
    eventually("docker calls the repository healthy", || {
        platform.repository.inspect("{{.State.Health.Status}}") == "healthy"
    });

    // Inside the 10 s that docker gives by default, with the app's own code.
    let begin = Instant::now();
    docker::succeed(&["stop", &app.0]);
    assert!(begin.elapsed() < Duration::from_secs(9));
    assert_eq!(app.wait(), 0);

    // A restart is warm.
    docker::succeed(&["start", &app.0]);
    greets(&app);
    assert!(app.logs().contains("nothing is downloaded"));

    // The repository's volume outlives its container's restart.
    docker::succeed(&["restart", &platform.repository.0]);
    eventually("what was published is there", || {
        docker::docker(&["exec", &platform.repository.0, "repository", "healthcheck"])
            .status
            .success()
    });
    let listing = http::get(platform.repository.port("80"), "/artefacts/").json();
    assert_eq!(listing["apps"], serde_json::json!(["hello-world"]));
}

#[test]
fn locked_down_with_and_without_docker_s_init() {
    docker::require_images();
    let platform = Platform::start();
    let locked = [
        "--read-only",
        "--cap-drop",
        "ALL",
        "--user",
        "10001",
        "--security-opt",
        "no-new-privileges",
        "--tmpfs",
        "/app:exec,uid=10001",
    ];
    for image in ["platformer/app-base", "platformer/app-base:static"] {
        for init in [false, true] {
            let mut options = locked.to_vec();
            options.extend(init.then_some("--init"));
            let app = platform.hello(&options, image);
            greets(&app);
            let health =
                docker::docker(&["exec", &app.0, "/usr/local/bin/bootstrap", "healthcheck"]);
            assert!(
                health.status.success(),
                "{image}: {}",
                String::from_utf8_lossy(&health.stderr)
            );
            docker::succeed(&["stop", &app.0]);
            assert_eq!(app.wait(), 0, "{image} {}", app.logs());
        }
    }
    // Any user, with no entry in /etc/passwd, on a volume that is its own.
    let app = platform.hello(
        &["--user", "4711:4711", "--tmpfs", "/app:exec,uid=4711"],
        "platformer/app-base",
    );
    greets(&app);
}

/// Started as root, the app is somebody else; and root, who may not look into others' processes in a
/// container, can still tell that it is healthy.
#[test]
fn started_as_root_the_app_is_somebody_else() {
    docker::require_images();
    let platform = Platform::start();
    for mode in ["BOOTSTRAP_MODE=supervise", "BOOTSTRAP_MODE=exec"] {
        let user = [
            "--user",
            "0",
            "--env",
            "BOOTSTRAP_USER=10001",
            "--env",
            mode,
        ];
        let app = platform.hello(&user, "platformer/app-base");
        greets(&app);
        let uids = docker::docker(&["exec", &app.0, "grep", "Uid", "/proc/1/status"]).stdout;
        let uids = String::from_utf8_lossy(&uids).into_owned();
        assert_eq!(
            uids.split_whitespace().skip(1).collect::<Vec<_>>(),
            ["10001"; 4],
            "{mode}"
        );
        let health = docker::docker(&["exec", &app.0, "bootstrap", "healthcheck"]);
        assert!(
            health.status.success(),
            "{mode}: {}",
            String::from_utf8_lossy(&health.stderr)
        );
        docker::succeed(&["stop", &app.0]);
        assert_eq!(app.wait(), 0, "{mode} {}", app.logs());
    }
}

#[test]
fn everybody_may_write_to_tmp() {
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
fn what_docker_users_meet_first_is_explained() {
    docker::require_images();
    let platform = Platform::start();
    let ends = |options: &[&str], code: i32, text: &str| {
        let mut options = options.to_vec();
        options.extend(["--env", "BOOTSTRAP_DEADLINE=2s"]);
        let app = platform.hello(&options, "platformer/app-base");
        assert_eq!(app.wait(), code, "{}", app.logs());
        assert!(app.logs().contains(text), "{text:?} in {}", app.logs());
    };
    // A tmpfs is noexec by default.
    ends(&["--tmpfs", "/app:uid=10001"], 73, "mounted noexec");
    ends(&["--read-only"], 73, "the file system is read-only");
    ends(
        &["--user", "4711"],
        73,
        "give the directory to the container's user",
    );
    // The default bridge knows no names.
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
fn a_container_stuck_in_back_off_stops_at_once() {
    docker::require_images();
    let app = Container::run(&["platformer/app-base", "hello-world", "127.0.0.1:1"]);
    eventually("it backs off", || app.logs().contains("attempt 2"));
    let begin = Instant::now();
    docker::succeed(&["stop", &app.0]);
    assert!(
        begin.elapsed() < Duration::from_secs(8),
        "not killed after the 10 s of docker stop"
    );
    assert_eq!(app.wait(), 143);
    assert!(app.logs().contains("stopped by SIGTERM"));
}
