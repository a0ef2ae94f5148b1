//! One-off commands. `docker run` can have neither Swarm secrets nor another node, and removing a service does not
//! stop a job of Swarm, so the command is a service with one replica that is never restarted.

use super::{secrets, tasks, token};
use crate::engine::contract::OneOff;
use crate::engine::readiness::POLL_INTERVAL;
use crate::engine::volume;
use crate::environment::Environment;
use crate::output::note;
use crate::release_spec::ReleaseSpec;
use crate::shell::{CommandLine, SLOW};
use crate::step::Step;

pub(super) fn run(
    environment: Environment,
    spec: &ReleaseSpec,
    command: OneOff,
) -> anyhow::Result<Step<i32>> {
    let shell = environment.shell;
    let name = format!("{}-{}-job", environment.name(), spec.app);
    let create = create(environment, spec, command, &name)?.timeout(SLOW);
    let logs = CommandLine::docker(["service", "logs", "--raw", &name]);
    let remove = CommandLine::docker(["service", "rm", &name]);
    let commands = format!("{create}\ndocker service ps {name}  # until it ends\n{logs}\n{remove}");
    Ok(Step::new(commands, move || {
        // An interrupted run leaves its service behind.
        let inspect = CommandLine::docker(["service", "inspect", &name]);
        if inspect.probe()?.is_success() {
            shell.execute(&remove)?;
        }
        shell.execute(&create)?;
        let exit_code = wait(&name)?;
        // The command's output goes to standard output and its errors to standard error, as on Compose.
        shell.attach(&logs)?;
        shell.execute(&remove)?;
        Ok(exit_code)
    }))
}

/// Waits until the command ends, and prints why it does not start.
fn wait(service: &str) -> anyhow::Result<i32> {
    let mut printed = String::new();
    loop {
        let tasks = tasks::list(service)?;
        let error = tasks.first().map_or("", tasks::Task::error);
        if !error.is_empty() && error != printed {
            note(&format!("  {error}"));
            error.clone_into(&mut printed);
        }
        if let Some(exit_code) = tasks.iter().find_map(tasks::Task::final_exit_code) {
            return Ok(exit_code);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn create(
    environment: Environment,
    spec: &ReleaseSpec,
    command: OneOff,
    name: &str,
) -> anyhow::Result<CommandLine> {
    let [_, label] = environment.label();
    let mut line = CommandLine::docker(["service", "create", "--detach", "--quiet"])
        .args(["--name", name, "--mode", "replicated", "--replicas", "1"])
        .args(["--restart-condition", "none", "--no-healthcheck"])
        .args(["--no-resolve-image", "--read-only", "--cap-drop", "ALL"])
        .args(["--label", &label, "--label", "platform.part=job"])
        .args(["--container-label", &label])
        .args(["--network", &environment.back()])
        .args(["--mount", "type=volume,target=/app"])
        .args(["--mount", "type=tmpfs,target=/tmp"]);
    let mut variables = vec![
        format!("BOOTSTRAP_ENVIRONMENT={}", environment.layer()),
        "BOOTSTRAP_TOKEN_FILE=/run/secrets/repository-token".to_owned(),
    ];
    variables.extend(command.variables());
    for variable in &variables {
        line = line.args(["--env", variable]);
    }
    for volume in &spec.volumes {
        let source = volume::name(environment, &spec.app, &volume.name);
        let mount = format!("type=volume,source={source},target={}", volume.path);
        line = line.args(["--mount", &mount]);
    }
    let mut secrets = secrets::current(environment, &spec.app)?;
    let token = token::secret_name(environment, &spec.app);
    secrets.insert("repository-token".to_owned(), token);
    for (target, source) in secrets {
        let secret = format!("source={source},target={target},uid=10001,gid=10001,mode=0400");
        line = line.args(["--secret", &secret]);
    }
    Ok(line.arg(&spec.image).args(command.arguments(spec)))
}
