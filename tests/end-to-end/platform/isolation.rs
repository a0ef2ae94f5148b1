//! Isolation of running containers. The tests inspect the engine, because `docker stack deploy` ignores unknown settings
//! without an error.

use platformer_tests::docker;
use platformer_tests::platform::{self, Platform};
use platformer_tests::swarm;

use super::publish_and_deploy;

/// Asserts that a container has no privileges.
fn assert_locked_down(container: &str) {
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

/// Whether a container gets HTTP status 200 from an address. A connection alone proves little, because an outbound proxy
/// may accept any connection.
fn reaches(container: &str, host: &str, port: u16, path: &str) -> bool {
    let script = format!(
        "exec 3<>/dev/tcp/{host}/{port} && printf 'GET {path} HTTP/1.0\\r\\nHost: {host}\\r\\n\\r\\n' >&3 && head -1 <&3"
    );
    let output = docker::exec(container, &["timeout", "3", "bash", "-c", &script]);
    String::from_utf8_lossy(&output.stdout).contains(" 200 ")
}

fn internal_address(platform: &Platform, part: &str) -> String {
    let container = platform.containers(part, None).remove(0);
    let format = format!(
        "{{{{(index .NetworkSettings.Networks \"{}_back\").IPAddress}}}}",
        platform.name
    );
    docker::succeed(&["inspect", "--format", &format, &container])
}

fn check_isolation(platform: &Platform) {
    let parts = ["loadbalancer", "repository", "toolbox"];
    let of = |part: &str| platform.containers(part, None).remove(0);
    let app = platform.containers("app", Some("hello-world")).remove(0);
    for container in parts.map(of).iter().chain([&app]) {
        assert_locked_down(container);
    }
    // Only the load balancer publishes a port.
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
    // The load balancer cannot reach the repository by address either, because it is not on that network.
    let address = internal_address(platform, "repository");
    assert!(reaches(&app, &address, 80, "/healthz"));
    assert!(!reaches(&balancer, &address, 80, "/healthz"));
    assert!(reaches(&app, "repository.platform", 80, "/healthz"));
    // An app cannot write to the repository.
    let write = "exec 3<>/dev/tcp/repository.platform/80; printf 'PUT /config/hello-world/hello-world.config HTTP/1.1\\r\\nHost: repository.platform\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\nA=1\\n' >&3; head -1 <&3";
    let answer = docker::exec_ok(&app, &["timeout", "5", "bash", "-c", write]);
    assert!(answer.contains(" 401 "), "{answer}");
}

#[test]
fn training_exposes_only_the_load_balancer() {
    platform::require_compose();
    let platform = Platform::training();
    publish_and_deploy(&platform, "hello-world");
    check_isolation(&platform);
    let balancer = platform.container("loadbalancer");
    let bound = docker::succeed(&["port", &balancer]);
    assert!(
        bound.lines().all(|line| line.contains("127.0.0.1:")),
        "{bound}"
    );
}

#[test]
fn production_runs_with_the_settings_of_its_files() {
    docker::require_images();
    let platform = swarm::production();
    let output = platform.run_with_input(&["secret", "set", "hello-world", "PASSWORD"], b"hunter2");
    assert_eq!(output.code, 0, "{}", output.stderr);
    publish_and_deploy(&platform, "hello-world");
    check_isolation(&platform);
    let balancer = platform.container("loadbalancer");
    let objects = internal_address(&platform, "objects");
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

    // A secret is a file that only the user of the app can read, and a variable. The token is a file only.
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
    // Standard output has only the output of the command.
    assert_eq!(output.stdout, "<hunter2>\n0\n", "{}", output.stderr);
    let request = "exec 3<>/dev/tcp/repository.platform/80; printf 'GET /config/other/ HTTP/1.1\\r\\nHost: repository.platform\\r\\nAuthorization: Bearer %s\\r\\nConnection: close\\r\\n\\r\\n' \"$(cat /run/secrets/repository-token)\" >&3; head -1 <&3";
    let answer = docker::exec_ok(&app, &["timeout", "5", "bash", "-c", request]);
    assert!(answer.contains(" 403 "), "{answer}");

    // `up` keeps the settings of the first `up`.
    let plan = platform.succeed(&["up", "production", "--dry-run"]);
    assert!(plan.contains("production.s3.yml"), "{plan}");
}
