//! An app in a repository (artefact, config and release document), and a bootstrap that starts it.

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
use crate::run::{self, Exit, Running};

pub const APP: &str = "hello";
pub const VERSION: &str = "1.0.0";
/// The path of the release document of a bare `APP`.
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
    /// The size that the statement declares.
    pub size: u64,
    pub release: Option<u64>,
}

impl App {
    /// `probe`, packed as `.tar.gz`, started with `arguments`.
    pub fn probe(arguments: &str) -> Self {
        let content = std::fs::read(binaries::probe()).expect("the probe exists");
        let tar = Tar::new([Entry::file("bin/probe", content).mode(0o755)]).finish();
        Self::new("hello-1.0.0.tar.gz", gzip(&tar))
            .with_config(&format!("STARTUP_COMMAND='bin/probe {arguments}'\n"))
    }

    /// A shell script.
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

    /// The artefact, from a server that supports ranges.
    pub fn file_reply(&self) -> Reply {
        Reply::file(self.artefact.clone(), &self.digest().etag())
    }

    /// Serves the release document.
    pub fn announce(&self, mock: &Mock) {
        mock.always(RELEASE, self.document_reply());
    }

    /// Serves the release document and the artefact.
    pub fn publish(&self, mock: &Mock) {
        self.announce(mock);
        mock.always(&self.path(), self.file_reply());
    }
}

/// A bootstrap with its own directory.
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
        // The default of five minutes is too long for a test.
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

    /// The directory in which bootstrap unpacks apps.
    pub fn dir(&self) -> PathBuf {
        self.home.path().join("app")
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn spawn(&self) -> Running {
        run::spawn(&binaries::bootstrap(), &self.arguments, &self.environment).in_home(&self.home)
    }

    /// Runs with the address of `mock` as the last argument.
    pub fn run_at(&self, mock: &Mock) -> Exit {
        let mut arguments = self.arguments.clone();
        arguments.push(mock.address().to_string().into());
        run::spawn(&binaries::bootstrap(), &arguments, &self.environment).wait()
    }

    /// Runs bootstrap as the arguments of another program. It gets its own process group, because job control
    /// doesn't stop the processes of an orphaned group.
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

    pub fn run(&self) -> Exit {
        self.spawn().wait()
    }

    /// Runs with an additional variable.
    pub fn run_with(&self, name: &str, value: &str) -> Exit {
        let mut environment = self.environment.clone();
        environment.push((name.into(), value.into()));
        run::spawn(&binaries::bootstrap(), &self.arguments, &environment).wait()
    }
}

impl Exit {
    /// Asserts the exit code, and shows the log if it differs.
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(
            self.code, code,
            "exit code; the log:\n{}\nthe output:\n{}",
            self.stderr, self.stdout
        );
        self
    }

    /// Asserts that the log contains `text`.
    pub fn says(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "missing {text:?} in the log:\n{}",
            self.stderr
        );
        self
    }

    pub fn does_not_say(&self, text: &str) -> &Self {
        assert!(
            !self.stderr.contains(text),
            "unexpected {text:?} in the log:\n{}",
            self.stderr
        );
        self
    }

    /// Returns the value of a variable in the output of `probe show`.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.stdout.lines().find_map(|line| {
            line.strip_prefix("env ")?
                .strip_prefix(name)?
                .strip_prefix('=')
        })
    }
}
