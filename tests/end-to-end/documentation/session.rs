//! The blocks of a page, run in order in one shell, as a reader would type them.
//!
//! The shell starts in an empty directory that stands in for the checkout: it holds the binaries in `target/debug` and
//! hello-world, packed, in `dist`. Ports are replaced as [`PORTS`] says. After a command in the background, the session
//! waits until one more of the ports accepts connections, as a reader does.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use platformer_tests::{binaries, ports};

use super::blocks::{Block, Step};
use super::{output, root};

/// Ports on the pages. Each becomes a free one, where it is a port of this machine and not of a container.
const PORTS: [&str; 3] = ["8080", "8081", "8082"];
const BEFORE_PORTS: [&str; 3] = ["localhost:", "127.0.0.1:", "-p "];

const PREPARE: &str = r#"
ready() {
    local port count=0
    for port in $PORTS; do
        if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then count=$((count + 1)); fi
    done
    echo $count
}
ready_after() {
    local tries
    for tries in $(seq 600); do
        if [ "$(ready)" -gt "$1" ]; then return; fi
        sleep 0.1
    done
    echo "no port was opened within 60 s" >&2
    exit 1
}
trap 'kill $(jobs -p) 2> /dev/null || true; wait' EXIT
"#;

/// The name of the environment on the page of the platform, so that it runs beside others.
pub(super) fn environment() -> String {
    format!("docs{}", std::process::id())
}

/// Runs the blocks, and lists the commands that fail or print something else.
pub(super) fn run(page: &str, blocks: &[Block], timeout: Duration) -> Vec<String> {
    let steps: Vec<&Step> = blocks.iter().flat_map(|block| &block.steps).collect();
    if steps.is_empty() {
        return Vec::new();
    }
    let home = tempfile::tempdir().expect("a directory");
    let free: Vec<String> = PORTS
        .iter()
        .map(|_| ports::free().port().to_string())
        .collect();
    let ports: Vec<(&str, &str)> = PORTS
        .into_iter()
        .zip(free.iter().map(String::as_str))
        .collect();
    prepare(home.path());
    fs::write(home.path().join("script"), script(&steps, &ports)).expect("a file");
    let code = execute(home.path(), &ports, timeout);
    let stderr = fs::read_to_string(home.path().join("stderr")).expect("a file");
    let mut problems = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let Ok(printed) = fs::read_to_string(home.path().join(format!("out/{index}"))) else {
            if code == 0 {
                let Step { line, command, .. } = step;
                problems.push(format!(
                    "{page}:{line}: {command}\ndid not run: an earlier command ended the shell"
                ));
            }
            break;
        };
        let printed = ports
            .iter()
            .fold(printed, |text, (shown, free)| text.replace(free, shown));
        let differs = step
            .expected
            .as_ref()
            .is_some_and(|expected| !output::matches(expected, &printed));
        // The shell stops at the first command that fails.
        let stopped = code != 0 && !home.path().join(format!("out/{}", index + 1)).exists();
        if differs || stopped {
            let Step { line, command, .. } = step;
            let (how, error) = if stopped {
                (format!("failed with exit code {code}"), stderr.as_str())
            } else {
                ("printed".to_owned(), "")
            };
            problems.push(format!(
                "{page}:{line}: {command}\n{how}:\n{printed}{error}"
            ));
        }
    }
    if code != 0 && problems.is_empty() {
        problems.push(format!("{page}: exit code {code}: {stderr}"));
    }
    problems
}

/// One script, so that variables and jobs last to the end of the page.
fn script(steps: &[&Step], ports: &[(&str, &str)]) -> String {
    let mut script = PREPARE.to_owned();
    for (index, step) in steps.iter().enumerate() {
        let command = with_free_ports(&step.command, ports);
        let may_fail = steps
            .get(index + 1)
            .is_some_and(|next| next.command == "echo $?");
        let in_background = command.ends_with('&');
        if in_background {
            script += "before=$(ready)\n";
        }
        script += if may_fail { "set +e\n" } else { "set -e\n" };
        // `errexit` must not end the script at the status that is shown.
        let restore = if step.command == "echo $?" {
            "set +e; (exit $status); "
        } else {
            ""
        };
        writeln!(
            script,
            "{{ {restore}{command}\n}} > \"$OUT/{index}\" 2>&1\nstatus=$?"
        )
        .expect("a string takes text");
        if in_background {
            script += "ready_after $before\n";
        }
    }
    script
}

fn with_free_ports(command: &str, ports: &[(&str, &str)]) -> String {
    let mut command = command.to_owned();
    for (shown, free) in ports {
        for before in BEFORE_PORTS {
            command = command.replace(&format!("{before}{shown}"), &format!("{before}{free}"));
        }
    }
    command
}

/// What stands in for the checkout after a build.
fn prepare(home: &Path) {
    let built = binaries::repository();
    let built = built.parent().expect("a directory");
    for directory in ["target", "dist", "out"] {
        fs::create_dir(home.join(directory)).expect("a directory");
    }
    symlink(built, home.join("target/debug")).expect("a link");
    let sample = root().join("sample-apps/hello-world/hello-world.config");
    fs::copy(sample, home.join("dist/hello-world.config")).expect("a config");
    let packed = Command::new("tar")
        .arg("-czf")
        .arg(home.join("dist/hello-world-1.0.0.tar.gz"))
        .arg("-C")
        .args([built.as_os_str(), "hello-world".as_ref()])
        .status();
    assert!(packed.is_ok_and(|status| status.success()), "tar packs");
    // On a terminal curl shows no progress, and writes each answer before the error that follows it.
    fs::write(home.join(".curlrc"), "no-progress-meter\nno-buffer\n").expect("a file");
}

/// Runs the script, and returns its exit code.
fn execute(home: &Path, ports: &[(&str, &str)], timeout: Duration) -> i32 {
    let path = std::env::var("PATH").unwrap_or_default();
    let binaries = home.join("target/debug");
    let free: Vec<&str> = ports.iter().map(|(_, free)| *free).collect();
    // bash gets the signal of a timeout, and ends its jobs.
    let status = Command::new("timeout")
        .args([
            "--kill-after=10",
            &timeout.as_secs().to_string(),
            "bash",
            "script",
        ])
        .current_dir(home)
        .env_clear()
        .env("PATH", format!("{}:{path}", binaries.display()))
        .env("HOME", home)
        .env("OUT", home.join("out"))
        .env("PORTS", free.join(" "))
        // hello-world listens there.
        .env("PORT", free[0])
        .env("REPOSITORY_CACHE", home.join("cache"))
        .env("PLATFORM_NAME", environment())
        .env("HTTP_PORT", free[0])
        .env("HTTPS_PORT", free[2])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(home.join("stderr")).expect("a file"))
        .status()
        .expect("timeout starts");
    status.code().unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::super::blocks;

    /// The problems of a page.
    fn problems(text: &str) -> Vec<String> {
        let blocks = blocks::read("page.md", text).unwrap();
        super::run("page.md", &blocks, super::Duration::from_mins(1))
    }

    #[test]
    fn a_page_that_is_right_has_no_problem() {
        let page = "```sh\nname=world\n```\n```console\n$ echo hello $name\nhello world\n$ false\n$ echo $?\n1\n```\n";
        assert_eq!(problems(page), Vec::<String>::new());
    }

    #[test]
    fn a_wrong_command_is_named_with_its_line_and_output() {
        let page = "```sh\ntrue\n```\n```sh\nrepository frobnicate\necho not reached\n```\n";
        let problems = problems(page);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("page.md:5: repository frobnicate"));
        assert!(problems[0].contains("failed with exit code") && problems[0].contains("--help"));
    }

    #[test]
    fn other_output_than_documented_is_a_problem() {
        let wrong = problems("```console\n$ echo hello\ngoodbye\n$ echo hello\nhello\n```\n");
        assert!(
            wrong.len() == 1 && wrong[0].contains("echo hello"),
            "{wrong:?}"
        );
        assert_eq!(problems("```console\n$ echo hidden\n```\n").len(), 1);
    }
}
