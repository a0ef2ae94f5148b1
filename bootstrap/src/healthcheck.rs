//! `bootstrap healthcheck`: is the app of this container ready?
//!
//! Nothing is written for it anywhere: the init shows in `/proc` that it runs or drains, and its
//! environment is the app's.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::environment::{Environment, command};
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::user::AppUser;

/// For the whole check: less than the 5 s after which the images' HEALTHCHECK is killed.
const PATIENCE: Duration = Duration::from_secs(4);

/// For a command of the app's own, which may take its time where the engine lets it.
const EXEC_PATIENCE: Duration = Duration::from_mins(1);

/// For the body of an answer that says no.
const REMARK_PATIENCE: Duration = Duration::from_millis(500);

/// Bytes of an answer that are looked at.
const ANSWER: usize = 4096;

/// The command of the check while it runs; 0 otherwise.
static COMMAND: AtomicI32 = AtomicI32::new(0);

/// Ends the process, and the command that it waits for, when the time is up.
fn give_up_after(patience: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(patience);
        logging::say(&format!("no answer within {patience:?}"));
        let command = COMMAND.load(Ordering::Relaxed);
        if command > 0 {
            let _ = kill(Pid::from_raw(command), Signal::SIGKILL);
        }
        std::process::exit(Exit::Unhealthy.code());
    });
}

fn unhealthy(reason: impl Into<String>) -> Failure {
    Failure::new(Exit::Unhealthy, reason)
}

pub(crate) fn run() -> Result<i32, Failure> {
    // Its environment is the container's, with a token in it where one was given that way.
    let _ = prctl::set_dumpable(false);
    let process = find()?;
    process.become_its_owner()?;
    let environment = process.environment()?;
    let check = std::env::var_os("BOOTSTRAP_HEALTHCHECK")
        .filter(|check| !check.is_empty())
        .or_else(|| environment.get("HEALTHCHECK").map(OsStr::to_owned))
        .unwrap_or_else(|| "tcp".into());
    let check = check
        .to_str()
        .ok_or_else(|| unhealthy("HEALTHCHECK is not UTF-8"))?;
    give_up_after(if check.starts_with("exec ") {
        EXEC_PATIENCE
    } else {
        PATIENCE
    });
    match check {
        "process" => Ok(()),
        "tcp" => connect(&environment).map(drop),
        path if path.starts_with('/') => get(&environment, path),
        _ => match check.strip_prefix("exec ") {
            Some(command) => execute(&process, &environment, command),
            None => Err(unhealthy(
                "HEALTHCHECK is none of tcp, process, /path and exec COMMAND: correct the config",
            )),
        },
    }?;
    let what = |name: &str| environment.get(name).and_then(OsStr::to_str);
    let release = what("PLATFORM_RELEASE").or_else(|| what("PLATFORM_VERSION"));
    logging::say(&match (what("PLATFORM_APP"), release) {
        (Some(app), Some(release)) => format!("ready: {app} {release}"),
        _ => "ready".to_owned(),
    });
    Ok(0)
}

/// The process whose environment is the app's: the init, or with `MODE=exec` the app itself.
struct Process {
    directory: PathBuf,
}

impl Process {
    fn environment(&self) -> Result<Environment, Failure> {
        let bytes = fs::read(self.directory.join("environ")).map_err(|error| {
            unhealthy("failed to read the app's environment: run the healthcheck as the same user")
                .because(error)
        })?;
        let pairs = bytes.split(|byte| *byte == 0).filter_map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            Some((
                OsString::from_vec(pair[..equals].to_vec()),
                OsString::from_vec(pair[equals + 1..].to_vec()),
            ))
        });
        Ok(pairs.collect())
    }

    /// Only its own user may read a process's environment: root without the right to trace others, as
    /// containers have it, may not. And a command of the check runs as the app does.
    fn become_its_owner(&self) -> Result<(), Failure> {
        match AppUser::owner_of(&self.directory) {
            Some(owner) if geteuid().is_root() => become_user(&owner),
            _ => Ok(()),
        }
    }

    fn words(&self) -> Vec<Vec<u8>> {
        let line = fs::read(self.directory.join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
    }

    fn is_bootstrap(&self) -> bool {
        let words = self.words();
        let name = words.first().map(|word| {
            word.rsplit(|byte| *byte == b'/')
                .next()
                .unwrap_or_default()
                .to_vec()
        });
        let helper = words.get(1).is_some_and(|word| {
            [&b"healthcheck"[..], b"sleep", b"_watch", b"_remove"].contains(&&word[..])
        });
        name.as_deref() == Some(b"bootstrap") && !helper
    }
}

fn become_user(user: &AppUser) -> Result<(), Failure> {
    user.become_it()
        .map_err(|failure| unhealthy("failed to become the app's user").because(failure))
}

fn find() -> Result<Process, Failure> {
    let mut pids: Vec<u32> = fs::read_dir("/proc")
        .map_err(|error| unhealthy("failed to look at the container's processes").because(error))?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .collect();
    pids.sort_unstable();
    let process = |pid: &u32| Process {
        directory: PathBuf::from(format!("/proc/{pid}")),
    };
    let Some(bootstrap) = pids.iter().map(process).find(Process::is_bootstrap) else {
        // With MODE=exec the app is in bootstrap's place, and bears its mark.
        if let Some(user) = std::env::var_os("BOOTSTRAP_USER").filter(|_| geteuid().is_root()) {
            let user = AppUser::parse(&user.to_string_lossy())
                .map_err(|error| unhealthy(format!("BOOTSTRAP_USER is not usable: {error}")))?;
            become_user(&user)?;
        }
        return pids
            .iter()
            .map(process)
            .find(|process| {
                process
                    .environment()
                    .is_ok_and(|environment| environment.get("PLATFORM_APP").is_some())
            })
            .ok_or_else(|| unhealthy("no app runs here that bootstrap has started"));
    };
    if bootstrap.words().get(1).map(Vec::as_slice) != Some(b"init") {
        return Err(unhealthy(
            "the app is not started yet: it is being fetched or unpacked",
        ));
    }
    let name = fs::read_to_string(bootstrap.directory.join("comm")).unwrap_or_default();
    if name.trim_end() == "draining" {
        return Err(unhealthy("the app is being stopped"));
    }
    Ok(bootstrap)
}

fn port(environment: &Environment) -> Result<u16, Failure> {
    let port = environment
        .get("PORT")
        .and_then(OsStr::to_str)
        .unwrap_or("8080");
    port.parse()
        .map_err(|_| unhealthy(format!("PORT is no port number: {port:?}")))
}

fn connect(environment: &Environment) -> Result<TcpStream, Failure> {
    let port = port(environment)?;
    let connect = |address: SocketAddr| TcpStream::connect_timeout(&address, PATIENCE);
    connect((Ipv4Addr::LOCALHOST, port).into())
        .or_else(|error| connect((Ipv6Addr::LOCALHOST, port).into()).map_err(|_| error))
        .map_err(|error| {
            unhealthy(format!("nothing accepts connections on port {port}")).because(error)
        })
}

fn get(environment: &Environment, path: &str) -> Result<(), Failure> {
    if path
        .bytes()
        .any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
    {
        return Err(unhealthy(
            "HEALTHCHECK has a blank in its path: write it as %20",
        ));
    }
    let mut connection = connect(environment)?;
    let port = port(environment)?;
    let failed =
        |error: std::io::Error| unhealthy(format!("GET :{port}{path} → no answer")).because(error);
    connection
        .set_read_timeout(Some(PATIENCE))
        .map_err(failed)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bootstrap-healthcheck\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 512];
    while !answer.contains(&b'\n') && answer.len() < ANSWER {
        match connection.read(&mut chunk).map_err(failed)? {
            0 => break,
            read => answer.extend_from_slice(&chunk[..read]),
        }
    }
    let line = String::from_utf8_lossy(&answer).into_owned();
    let line = line.lines().next().unwrap_or_default();
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split_whitespace().nth(1))
        .filter(|status| status.len() == 3);
    let Some(status) = status else {
        return Err(unhealthy(format!(
            "GET :{port}{path} → {:?}, which is no HTTP",
            shown(line)
        )));
    };
    if status.starts_with(['2', '3']) {
        return Ok(());
    }
    // What the app says of it, as far as it comes at once.
    let _ = connection.set_read_timeout(Some(REMARK_PATIENCE));
    while answer.len() < ANSWER {
        match connection.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(read) => answer.extend_from_slice(&chunk[..read]),
        }
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let remark = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| shown(body))
        .filter(|remark| !remark.is_empty());
    Err(unhealthy(match remark {
        Some(remark) => format!("GET :{port}{path} → {status} {remark:?}"),
        None => format!("GET :{port}{path} → {status}"),
    }))
}

/// The beginning of a text, on one line.
fn shown(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or_default()
        .trim()
        .chars()
        .filter(|character| !character.is_control())
        .take(80)
        .collect()
}

fn execute(process: &Process, environment: &Environment, text: &str) -> Result<(), Failure> {
    let words = command::split(text.as_bytes(), environment).map_err(|error| {
        unhealthy("HEALTHCHECK names a command that cannot be started").because(error)
    })?;
    let status = Command::new(&words[0])
        .args(&words[1..])
        .env_clear()
        .envs(environment.iter())
        .current_dir(process.directory.join("cwd"))
        .stdin(Stdio::null())
        .spawn()
        .and_then(|mut child| {
            COMMAND.store(
                i32::try_from(child.id()).unwrap_or_default(),
                Ordering::Relaxed,
            );
            child.wait()
        })
        .map_err(|error| {
            unhealthy(format!("failed to start {}", words[0].display())).because(error)
        })?;
    if status.success() {
        return Ok(());
    }
    Err(unhealthy(format!(
        "{} ended with {status}",
        OsStr::from_bytes(words[0].as_bytes()).display()
    )))
}
