//! `platformer console`: serves the repository on a local port, for a browser or curl, until Ctrl-C.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::environment::Environment;
use crate::output::print;
use crate::shell::CommandLine;
use crate::step::Step;

/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 64 << 10;

const REFUSAL: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 49\r\nConnection: close\r\n\r\nthe console is at http://localhost or 127.0.0.1.\n";

pub(crate) fn run(environment: Environment, port: u16) -> anyhow::Result<()> {
    let toolbox = environment.container("toolbox")?;
    let arguments = [
        "exec",
        "-i",
        &toolbox,
        "socat",
        "STDIO",
        "TCP:repository.platform:80",
    ]
    .map(str::to_owned);
    let line = CommandLine::docker(arguments.clone());
    let serve = Step::new(format!("{line}  # for each connection"), move || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| {
            format!("failed to listen on port {port}: choose another port with --port")
        })?;
        print(&format!(
            "the repository of {} is at http://{}/ until you press Ctrl-C",
            environment.name(),
            listener.local_addr()?
        ));
        print(&format!(
            "show its token: docker exec {toolbox} sh -c 'cat \"$TOKEN_FILE\"'"
        ));
        for connection in listener.incoming().flatten() {
            let arguments = arguments.clone();
            std::thread::spawn(move || drop(relay(connection, &arguments)));
        }
        Ok(())
    });
    serve.apply(environment.shell).map(drop)
}

/// Relays one connection through `docker exec`.
fn relay(mut connection: TcpStream, arguments: &[String]) -> io::Result<()> {
    let mut child = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else {
        return Ok(());
    };
    let mut client = connection.try_clone()?;
    let mut head = Vec::new();
    if !is_for_this_machine(&mut client, &mut head)? {
        connection.write_all(REFUSAL)?;
        // The child exits when its input ends.
        drop(to);
        child.wait()?;
        return Ok(());
    }
    to.write_all(&head)?;
    to.flush()?;
    let sender = std::thread::spawn(move || copy(&mut client, &mut to));
    let copied = copy(&mut from, &mut connection);
    let _ = connection.shutdown(Shutdown::Both);
    let _ = sender.join();
    child.wait()?;
    copied
}

/// Whether the first request of a connection has this machine as its `Host`. A page from elsewhere can make its own
/// name resolve to this machine, but cannot change the `Host` that a browser sends.
fn is_for_this_machine(client: &mut impl Read, head: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 4096];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match client.read(&mut chunk)? {
            0 => return Ok(false),
            _ if head.len() > MAX_HEAD => return Ok(false),
            read => head.extend_from_slice(&chunk[..read]),
        }
    }
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let host = head.lines().find_map(|line| line.strip_prefix("host:"));
    let name = host.and_then(|host| host.trim().split(':').next());
    Ok(matches!(name, Some("localhost" | "127.0.0.1")))
}

/// Copies and flushes each chunk, so that streamed bytes arrive at once.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut chunk = vec![0; 64 << 10];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(()),
            read => {
                to.write_all(&chunk[..read])?;
                to.flush()?;
            }
        }
    }
}
