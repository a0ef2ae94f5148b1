//! What the engine really does of what the files say: `docker stack deploy` ignores in silence what it does not know.

use platformer_tests::docker;
use platformer_tests::platform::{self, Platform};
use platformer_tests::swarm;

use super::bring;

/// What every container must be, whichever engine made it.
fn is_locked_down(container: &str) {
    let inspect = |format: &str| docker::succeed(&["inspect", "--format", format, container]);
    let name = inspect("{{.Name}}");
    assert_eq!(inspect("{{.HostConfig.ReadonlyRootfs}}"), "true", "{name}");
    assert_eq!(
        inspect("{{.HostConfig.CapDrop}}").to_uppercase(),
        "[ALL]",
        "{name}"
    );
    assert_eq!(inspect("{{.HostConfig.CapAdd}}"), "[]", "{name}");
    assert_eq!(inspect("{{.Config.User}}"), "10001:10001", "{name}");
    assert_eq!(inspect("{{.HostConfig.Privileged}}"), "false", "{name}");
}

fn ports(container: &str) -> String {
    docker::succeed(&[
        "inspect",
        "--format",
        "{{range $port, $to := .NetworkSettings.Ports}}{{if $to}}{{$port}} {{end}}{{end}}",
        container,
    ])
}

/// Whether a container is answered by something that speaks HTTP at an address, and says yes. (That a connection comes
/// about says little: a proxy on the way out of the machine may take any.)
fn reaches(container: &str, host: &str, port: u16, path: &str) -> bool {
    let script = format!(
        "exec 3<>/dev/tcp/{host}/{port} && printf 'GET {path} HTTP/1.0\\r\\nHost: {host}\\r\\n\\r\\n' >&3 && head -1 <&3"
    );
    let output = docker::exec(container, &["timeout", "3", "bash", "-c", &script]);
    String::from_utf8_lossy(&output.stdout).contains(" 200 ")
}

fn address_behind(platform: &Platform, part: &str) -> String {
    let container = platform.containers(part, None).remove(0);
    let format = format!(
        "{{{{(index .NetworkSettings.Networks \"{}_back\").IPAddress}}}}",
        platform.name
    );
    docker::succeed(&["inspect", "--format", &format, &container])
}

fn everything_is_in_its_place(platform: &Platform) {
    let parts = ["loadbalancer", "repository", "toolbox"];
    let of = |part: &str| platform.containers(part, None).remove(0);
    let app = platform.containers("app", Some("hello-world")).remove(0);
    for container in parts.map(of).iter().chain([&app]) {
        is_locked_down(container);
    }
    // Only the load balancer has a port.
    for container in [of("repository"), of("toolbox"), app.clone()] {
        assert_eq!(ports(&container), "");
    }
    let balancer = of("loadbalancer");
    assert!(reaches(
        &balancer,
        "hello-world.apps.platform",
        8080,
        "/status"
    ));
    assert!(!reaches(&balancer, "repository.platform", 80, "/healthz"));
    // By address neither: it is on no network of theirs.
    let behind = address_behind(platform, "repository");
    assert!(reaches(&app, &behind, 80, "/healthz"));
    assert!(!reaches(&balancer, &behind, 80, "/healthz"));
    assert!(reaches(&app, "repository.platform", 80, "/healthz"));
    // Who may not write, cannot.
    let write = "exec 3<>/dev/tcp/repository.platform/80; printf 'PUT /config/hello-world/hello-world.config HTTP/1.1\\r\\nHost: repository.platform\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\nA=1\\n' >&3; head -1 <&3";
    let answer = docker::exec_ok(&app, &["timeout", "5", "bash", "-c", write]);
    assert!(answer.contains(" 401 "), "{answer}");
}

#[test]
fn training_shows_nothing_but_the_load_balancer() {
    platform::require_compose();
    let platform = Platform::training();
    bring(&platform, "hello-world");
    everything_is_in_its_place(&platform);
    let balancer = platform.container("loadbalancer");
    let bound = docker::succeed(&["port", &balancer]);
    assert!(
        bound.lines().all(|line| line.contains("127.0.0.1:")),
        "{bound}"
    );
}

#[test]
fn production_is_what_its_files_say() {
    docker::require_images();
    let platform = swarm::production();
    let output = platform.run_with_input(&["secret", "set", "hello-world", "PASSWORD"], b"hunter2");
    assert_eq!(output.code, 0, "{}", output.stderr);
    bring(&platform, "hello-world");
    everything_is_in_its_place(&platform);
    let balancer = platform.container("loadbalancer");
    let objects = address_behind(&platform, "objects");
    let app = platform.containers("app", Some("hello-world")).remove(0);
    assert!(reaches(&app, &objects, 5000, "/"));
    assert!(!reaches(&balancer, &objects, 5000, "/"));

    let service = format!("{}-hello-world-blue_app", platform.name);
    let of = |service: &str, format: &str| {
        docker::succeed(&["service", "inspect", "--format", format, service])
    };
    assert_eq!(
        of(
            &service,
            "{{.Spec.UpdateConfig.Order}} {{.Spec.UpdateConfig.Parallelism}} {{.Spec.UpdateConfig.FailureAction}}"
        ),
        "start-first 1 rollback"
    );
    assert_eq!(of(&service, "{{.Spec.EndpointSpec.Mode}}"), "dnsrr");
    assert_eq!(
        of(
            &service,
            "{{.Spec.TaskTemplate.ContainerSpec.StopGracePeriod}}"
        ),
        "15s"
    );
    let repository = format!("{}_repository", platform.name);
    assert_eq!(of(&repository, "{{.Spec.Mode.Replicated.Replicas}}"), "2");
    let environment = of(&repository, "{{.Spec.TaskTemplate.ContainerSpec.Env}}");
    assert!(!environment.contains("AWS_SECRET"), "{environment}");
    assert!(
        environment.contains("REPOSITORY_STORAGE=s3://"),
        "{environment}"
    );

    // A secret is a file of the app's user, and its variable; the token is of this app's, and not its variable.
    let app = platform.containers("app", Some("hello-world")).remove(0);
    let files = docker::exec_ok(&app, &["ls", "-l", "/run/secrets"]);
    for file in ["PASSWORD", "repository-token"] {
        let line = files.lines().find(|line| line.ends_with(file)).unwrap();
        assert!(
            line.starts_with("-r--------") && line.contains(" app "),
            "{line}"
        );
    }
    let output = platform.run(&[
        "run",
        "hello-world",
        "--",
        "/bin/sh",
        "-c",
        "echo \"<$PASSWORD>\"; env | grep -ci token; exit 5",
    ]);
    assert_eq!(output.code, 5, "{}", output.stderr);
    // What the command prints and nothing else.
    assert_eq!(output.stdout, "<hunter2>\n0\n", "{}", output.stderr);
    let others = "exec 3<>/dev/tcp/repository.platform/80; printf 'GET /config/other/ HTTP/1.1\\r\\nHost: repository.platform\\r\\nAuthorization: Bearer %s\\r\\nConnection: close\\r\\n\\r\\n' \"$(cat /run/secrets/repository-token)\" >&3; head -1 <&3";
    let answer = docker::exec_ok(&app, &["timeout", "5", "bash", "-c", others]);
    assert!(answer.contains(" 403 "), "{answer}");

    // To come up again keeps what it was told.
    let again = platform.succeed(&["up", "production", "--dry-run"]);
    assert!(again.contains("production.s3.yml"), "{again}");
}
