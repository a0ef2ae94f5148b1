//! `cargo demo`: publishes and starts an app on this machine, with nothing but Rust.
//!
//! 1. build the binaries and pack hello-world
//! 2. start a repository on a temporary directory
//! 3. publish the app and its config with `PUT`, as `curl -T` does
//! 4. bootstrap the app: fetch, verify, unpack, start
//! 5. ask the app for its greeting
//! 6. stop both, and check that nothing is left

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::build::{self, Profile};
use crate::pack;
use crate::process::Process;

const TIMEOUT: Duration = Duration::from_secs(30);

#[expect(clippy::print_stdout, reason = "the demo shows what happens")]
pub fn run() -> anyhow::Result<()> {
    println!("1. build bootstrap, repository and hello-world from the sources");
    let packages = ["bootstrap", "repository", "hello-world"];
    let binaries = build::build(&packages, Profile::Debug)?;
    let directory = tempfile::tempdir().context("failed to create a temporary directory")?;
    let executable = binaries.path("hello-world");
    let packed = pack::pack_executable("hello-world", directory.path(), executable)?;
    if !binaries.is_static {
        println!("   (without the musl target: the binaries need this machine's C library)");
    }

    println!("2. start a repository on a local disk");
    let (repository_address, app_address) = (free_address()?, free_address()?);
    let mut repository = Process::start(
        "repository",
        Command::new(binaries.path("repository"))
            .env("REPOSITORY_LISTEN", repository_address.to_string())
            .env(
                "REPOSITORY_STORAGE",
                format!("file://{}", directory.path().join("store").display()),
            ),
    )?;
    repository.wait_for(repository_address, TIMEOUT)?;

    println!("3. publish hello-world {} and its config", packed.version);
    let file = packed
        .archive
        .file_name()
        .and_then(|name| name.to_str())
        .context("the archive has no name")?;
    let response = put(
        repository_address,
        &format!("/artefacts/hello-world/{}/{file}", packed.version),
        &packed.archive,
    )?;
    print!("   {response}");
    let response = put(
        repository_address,
        "/config/hello-world/hello-world.config",
        &packed.config,
    )?;
    print!("   {response}");

    println!("4. start it: bootstrap hello-world {repository_address}");
    let mut app = Process::start(
        "bootstrap",
        Command::new(binaries.path("bootstrap"))
            .args(["hello-world", &repository_address.to_string()])
            .env("BOOTSTRAP_DIR", directory.path().join("app"))
            .env("PORT", app_address.port().to_string()),
    )?;
    app.wait_for(app_address, TIMEOUT)?;

    println!("5. greet: GET http://{app_address}/greeting");
    let (status, body) = request(app_address, "GET", "/greeting", &[])?;
    ensure!(
        status == 200 && body.contains("Hello, World!"),
        "the app answered with status {status}: {body}"
    );
    println!("   {body}");

    println!("6. stop both");
    let app = app.stop(TIMEOUT)?;
    let repository = repository.stop(TIMEOUT)?;
    ensure!(app.success(), "bootstrap exited with {app}");
    ensure!(
        repository.success(),
        "the repository exited with {repository}"
    );
    ensure!(
        TcpStream::connect(app_address).is_err(),
        "something still listens on {app_address}"
    );
    println!("   both exited with code 0, and their ports are closed");
    Ok(())
}

/// An address that is free now: hello-world takes its port from `PORT`, so the demo must choose one.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn put(address: SocketAddr, path: &str, file: &Path) -> anyhow::Result<String> {
    let (status, body) = request(address, "PUT", path, &fs::read(file)?)?;
    if status != 201 {
        bail!("PUT {path} failed with status {status}: {body}");
    }
    Ok(body)
}

/// Sends one request over one connection, without an HTTP library.
fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
) -> anyhow::Result<(u16, String)> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes())?;
    connection.write_all(body)?;
    let mut response = String::new();
    connection.read_to_string(&mut response)?;
    let (head, body) = response
        .split_once("\r\n\r\n")
        .context("the response has no head")?;
    let status = head
        .split_whitespace()
        .nth(1)
        .context("the response has no status")?
        .parse()?;
    Ok((status, body.to_owned()))
}
