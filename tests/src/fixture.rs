//! An app as a repository shows it: artefact, config, release document; and bootstrap, ready to
//! start it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use repository_api::release::{
    Artefact, LayerContent, LayerName, LayerPin, ReleaseDocument, Statement,
};
use repository_api::{Digest, routes};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::archive::{Entry, Tar, gzip};
use crate::binaries;
use crate::mock::{Mock, Reply};
use crate::run::{self, Ended, Running};

pub const APP: &str = "hello";
pub const VERSION: &str = "1.0.0";
/// Where the mock has the release document of a bare `APP`.
pub const RELEASE: &str = "/releases/hello/latest";

pub fn digest(bytes: &[u8]) -> Digest {
    Digest::new(Sha256::digest(bytes).into())
}

/// An app with one artefact and one config.
#[derive(Debug, Clone)]
pub struct App {
    pub file: String,
    pub artefact: Vec<u8>,
    pub config: String,
    /// Bytes as the statement says.
    pub size: u64,
    pub release: Option<u64>,
}

impl App {
    /// `probe`, packed as `.tar.gz`, started with `arguments`.
    pub fn probe(arguments: &str) -> Self {
        let content = std::fs::read(binaries::probe()).expect("the probe is built");
        let tar = Tar::new([Entry::file("bin/probe", content).mode(0o755)]).finish();
        Self::new("hello-1.0.0.tar.gz", gzip(&tar))
            .with_config(&format!("STARTUP_COMMAND='bin/probe {arguments}'\n"))
    }

    /// A script, which needs a shell on this machine.
    pub fn script(text: &str) -> Self {
        Self::new("run.sh", format!("#!/bin/sh\n{text}\n"))
            .with_config("STARTUP_COMMAND=./run.sh\n")
    }

    pub fn new(file: &str, artefact: impl Into<Vec<u8>>) -> Self {
        let artefact = artefact.into();
        let size = artefact.len() as u64;
        Self {
            file: file.to_owned(),
            artefact,
            config: "STARTUP_COMMAND=true\n".to_owned(),
            size,
            release: None,
        }
    }

    #[must_use]
    pub fn with_config(mut self, config: &str) -> Self {
        config.clone_into(&mut self.config);
        self
    }

    pub fn digest(&self) -> Digest {
        digest(&self.artefact)
    }

    pub fn path(&self) -> String {
        routes::artefact(
            &APP.parse().expect("a name"),
            &VERSION.parse().expect("a version"),
            &self.file.parse().expect("a file name"),
        )
    }

    pub fn statement(&self) -> Statement {
        Statement {
            app: APP.parse().expect("a name"),
            release: self.release,
            version: VERSION.parse().expect("a version"),
            artefacts: vec![Artefact {
                file: self.file.parse().expect("a file name"),
                size: self.size,
                sha256: self.digest(),
            }],
            config: vec![LayerPin {
                layer: LayerName::App,
                generation: 1,
                sha256: digest(self.config.as_bytes()),
            }],
        }
    }

    pub fn document(&self) -> ReleaseDocument {
        ReleaseDocument {
            statement: self.statement().to_text(),
            signature: None,
            config: vec![LayerContent {
                layer: LayerName::App,
                content: self.config.clone(),
            }],
        }
    }

    pub fn document_reply(&self) -> Reply {
        Reply::ok(serde_json::to_vec(&self.document()).expect("JSON"))
            .header("Content-Type", "application/json")
    }

    /// The artefact as a good server has it.
    pub fn file_reply(&self) -> Reply {
        Reply::file(self.artefact.clone(), &self.digest().etag())
    }

    /// Shows the release document to whoever asks.
    pub fn announce(&self, mock: &Mock) {
        mock.always(RELEASE, self.document_reply());
    }

    /// Shows document and artefact to whoever asks.
    pub fn publish(&self, mock: &Mock) {
        self.announce(mock);
        mock.always(&self.path(), self.file_reply());
    }
}

/// bootstrap with a directory of its own.
#[derive(Debug)]
pub struct Bootstrap {
    home: Arc<TempDir>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Bootstrap {
    /// `bootstrap hello ADDRESS`
    pub fn of(mock: &Mock) -> Self {
        Self::with(&[APP, &mock.address().to_string()])
    }

    pub fn with(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut bootstrap = Self {
            home: Arc::new(home),
            arguments: arguments.iter().map(OsString::from).collect(),
            environment: Vec::new(),
        };
        let directory = bootstrap.dir();
        bootstrap = bootstrap
            .env("BOOTSTRAP_DIR", directory)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin");
        // Tests must not wait for the five minutes of the default.
        bootstrap.env("BOOTSTRAP_DEADLINE", "30s")
    }

    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Where apps are unpacked.
    pub fn dir(&self) -> PathBuf {
        self.home.path().join("app")
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn spawn(&self) -> Running {
        run::spawn(&binaries::bootstrap(), &self.arguments, &self.environment).in_home(&self.home)
    }

    /// The same, in the same directory, with the mock's address as one more argument.
    #[must_use]
    pub fn at(&self, mock: &Mock) -> At<'_> {
        At {
            bootstrap: self,
            address: mock.address().to_string(),
        }
    }

    /// Under another program, which is given bootstrap and its arguments; in a process group of its own,
    /// because the kernel stops nobody of a group that has no parent in its session.
    pub fn spawn_under(&self, prefix: &[&str]) -> Running {
        let mut words: Vec<OsString> = prefix.iter().map(OsString::from).collect();
        words.push(binaries::bootstrap().into());
        words.extend(self.arguments.iter().cloned());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .process_group(0);
        run::spawn_command(&mut command).in_home(&self.home)
    }

    pub fn run(&self) -> Ended {
        self.spawn().wait()
    }

    /// Runs with one more variable, in the same directory.
    pub fn run_with(&self, name: &str, value: &str) -> Ended {
        let mut environment = self.environment.clone();
        environment.push((name.into(), value.into()));
        run::spawn(&binaries::bootstrap(), &self.arguments, &environment).wait()
    }
}

/// bootstrap, told of one more repository.
#[derive(Debug)]
pub struct At<'a> {
    bootstrap: &'a Bootstrap,
    address: String,
}

impl At<'_> {
    pub fn run(&self) -> Ended {
        let mut arguments = self.bootstrap.arguments.clone();
        arguments.push(OsString::from(&self.address));
        run::spawn(
            &binaries::bootstrap(),
            &arguments,
            &self.bootstrap.environment,
        )
        .wait()
    }
}

impl Ended {
    /// The exit code is as expected; otherwise the log says why it is not.
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(
            self.code, code,
            "exit code; the log:\n{}\nthe output:\n{}",
            self.stderr, self.stdout
        );
        self
    }

    /// The log holds `text`.
    pub fn says(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "{text:?} in the log:\n{}",
            self.stderr
        );
        self
    }

    pub fn does_not_say(&self, text: &str) -> &Self {
        assert!(
            !self.stderr.contains(text),
            "no {text:?} in the log:\n{}",
            self.stderr
        );
        self
    }

    /// The value of a variable that `probe show` saw.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.stdout.lines().find_map(|line| {
            line.strip_prefix("env ")?
                .strip_prefix(name)?
                .strip_prefix('=')
        })
    }
}
