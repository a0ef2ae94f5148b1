//! Calls of `docker` that show nothing unless they fail.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Whether a Docker engine is reachable.
pub fn docker_answers() -> bool {
    quiet(Command::new("docker").arg("version"))
}

/// Runs a command without output; `true` if it succeeds.
pub fn quiet(command: &mut Command) -> bool {
    let status = without_io(command).status();
    status.is_ok_and(|status| status.success())
}

fn without_io(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

/// Like [`quiet`], but kills the command after `timeout`.
pub(super) fn quiet_within(command: &mut Command, timeout: Duration) -> bool {
    let Ok(mut child) = without_io(command).spawn() else {
        return false;
    };
    let deadline = Instant::now() + timeout;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

/// Builds one image. Passes only the build arguments that the Dockerfile declares: some builders reject others.
pub fn docker_build(
    dockerfile: &Path,
    context: &Path,
    tag: &str,
    arguments: &[(&str, &str)],
) -> anyhow::Result<()> {
    let text = fs::read_to_string(dockerfile)
        .with_context(|| format!("failed to read {}", dockerfile.display()))?;
    let mut command = Command::new("docker");
    command
        .args(["build", "--tag", tag, "--file"])
        .arg(dockerfile);
    for (name, value) in arguments
        .iter()
        .filter(|(name, _)| text.contains(&format!("ARG {name}=")))
    {
        command.args(["--build-arg", &format!("{name}={value}")]);
    }
    let output = command
        .arg(context)
        .output()
        .context("failed to start docker")?;
    if !output.status.success() {
        bail!(
            "docker build of {tag} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
