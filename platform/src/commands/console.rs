//! `platformer console`: the repository on a port of this machine, for a browser or curl, as long as it runs.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::environment::Environment;
use crate::say::say;
use crate::shell::Line;

/// Bytes of a request's head.
const HEAD: usize = 64 << 10;

const REFUSAL: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 49\r\nConnection: close\r\n\r\nthe console is at http://localhost or 127.0.0.1.\n";

pub(crate) fn run(environment: Environment, port: u16) -> anyhow::Result<()> {
    let toolbox = environment.container("toolbox")?;
    let words = [
        "exec",
        "-i",
        &toolbox,
        "socat",
        "STDIO",
        "TCP:repository.platform:80",
    ];
    if environment.shell.dry_run {
        say(&format!("{}  # for each connection", Line::docker(words)));
        return Ok(());
    }
    // Nobody but this machine.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("failed to listen on port {port}: --port takes another one"))?;
    say(&format!(
        "the repository of {} is at http://{}/ until Ctrl-C",
        environment.name(),
        listener.local_addr()?
    ));
    say(&format!(
        "it asks for a token: docker exec {toolbox} sh -c 'cat \"$TOKEN_FILE\"'"
    ));
    for connection in listener.incoming().flatten() {
        let words = words.map(str::to_owned);
        std::thread::spawn(move || drop(carry(connection, &words)));
    }
    Ok(())
}

/// One connection, there and back.
fn carry(mut connection: TcpStream, words: &[String]) -> io::Result<()> {
    let mut child = Command::new("docker")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (there, back) = (child.stdin.take(), child.stdout.take());
    let (Some(mut there), Some(mut back)) = (there, back) else {
        return Ok(());
    };
    let mut from = connection.try_clone()?;
    let mut head = Vec::new();
    if !is_for_this_machine(&mut from, &mut head)? {
        connection.write_all(REFUSAL)?;
        // Nothing was sent there; it ends when its input does.
        drop(there);
        child.wait()?;
        return Ok(());
    }
    there.write_all(&head)?;
    there.flush()?;
    let sender = std::thread::spawn(move || pass(&mut from, &mut there));
    let passed = pass(&mut back, &mut connection);
    let _ = connection.shutdown(Shutdown::Both);
    let _ = sender.join();
    child.wait()?;
    passed
}

/// Whether a connection's first request names this machine. A page from elsewhere, whose name was made to lead here,
/// names another one.
fn is_for_this_machine(from: &mut impl Read, head: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 4096];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match from.read(&mut chunk)? {
            0 => return Ok(false),
            _ if head.len() > HEAD => return Ok(false),
            read => head.extend_from_slice(&chunk[..read]),
        }
    }
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let named = head.lines().filter_map(|line| line.strip_prefix("host:"));
    let mut hosts = named.map(|host| host.trim().split(':').next().unwrap_or_default());
    Ok(hosts
        .next()
        .is_some_and(|host| matches!(host, "localhost" | "127.0.0.1")))
}

/// As bytes come, so that what is streamed arrives at once.
fn pass(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
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
