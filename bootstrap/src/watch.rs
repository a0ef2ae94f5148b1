//! `bootstrap _watch`: asks the repository for changes of the release that runs, and tells the init by
//! a signal (`ON_CHANGE`).
//!
//! 1. read the order from standard input, which then closes: the app cannot read the token from it
//! 2. long poll: `Prefer: wait=30` and `If-None-Match`; a server that does not know it is asked now
//!    and then
//! 3. a change of substance, checked as at a start, that stays for the debounce period
//! 4. the splay: those who run the same app do not all act at once
//! 5. the signal

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{close, getpid, getppid};
use repository_api::{Digest, routes};
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::arguments::StartArguments;
use crate::early;
use crate::exit::{Exit, Failure};
use crate::init;
use crate::logging;
use crate::release::{self, Release};
use crate::repository::attempt::Attempt;
use crate::repository::backoff::Backoff;
use crate::repository::retry::random;
use crate::repository::{Polled, Repository};
use crate::settings::{self, Settings};

/// How long a long poll lasts, and how often a server is asked that does not know it.
const WAIT: Duration = Duration::from_secs(30);

/// Between two answers at the least.
const LEAST: Duration = Duration::from_millis(200);

/// What is to be watched, and what was started.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    /// bootstrap's own variables, the token among them.
    variables: Vec<(String, String)>,
    app: String,
    repository: String,
    /// The substance of the release that was started.
    started: Digest,
    signal: i32,
    /// The init.
    init: i32,
}

impl Order {
    pub(crate) fn new(settings: &Settings, release: &Release, signal: i32) -> Self {
        let mut variables: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("BOOTSTRAP_") && name != "BOOTSTRAP_TOKEN_FILE")
            .map(|(name, value)| {
                // The watcher works in the app's tree, where a path might mean another file.
                let is_path =
                    ["BOOTSTRAP_CA_FILE", "BOOTSTRAP_TRUSTED_KEYS_FILE"].contains(&&*name);
                let whole = is_path.then(|| {
                    std::fs::canonicalize(&value)
                        .ok()?
                        .into_os_string()
                        .into_string()
                        .ok()
                });
                (name, whole.flatten().unwrap_or(value))
            })
            .collect();
        if let Some(token) = &settings.token {
            variables.retain(|(name, _)| name != "BOOTSTRAP_TOKEN");
            variables.push(("BOOTSTRAP_TOKEN".to_owned(), token.0.clone()));
        }
        Self {
            variables,
            app: settings.app.to_string(),
            repository: settings.origin.with_credentials(),
            started: release.substance(),
            signal,
            init: getpid().as_raw(),
        }
    }

    /// The order in memory that only a process which inherits the descriptor can read.
    pub(crate) fn write(&self) -> io::Result<File> {
        let mut file = File::from(memfd_create(c"order", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(&serde_json::to_vec(self).map_err(io::Error::other)?)?;
        file.rewind()?;
        Ok(file)
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let arguments = StartArguments {
            app: Some(self.app.clone()),
            repository: Some(self.repository.clone()),
            command: Vec::new(),
        };
        let pairs = self
            .variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        settings::read(&arguments, pairs).map(|(settings, _)| settings)
    }
}

/// Watches until the init ends.
pub(crate) fn run() -> Result<i32, Failure> {
    let failed = |what: &str| {
        Failure::new(
            Exit::CannotWrite,
            format!("changes are not watched: {what}"),
        )
    };
    early::leave_quietly();
    // Neither /proc nor ptrace shows this process to others of the same user.
    prctl::set_dumpable(false)
        .and_then(|()| prctl::set_pdeathsig(Signal::SIGKILL))
        .map_err(|error| failed("prctl").because(error))?;
    let mut text = Vec::new();
    std::io::stdin()
        .read_to_end(&mut text)
        .map_err(|error| failed("the order cannot be read").because(error))?;
    let order: Order =
        serde_json::from_slice(&text).map_err(|_| failed("the order is malformed"))?;
    drop(text);
    // The first holds the order; the second tells the init that nobody else can read it any more.
    for descriptor in 0..2 {
        close(descriptor).map_err(|error| failed("close").because(error))?;
    }
    let settings = order.settings()?;
    logging::start(settings.log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("no memory or no descriptors").because(error))?;
    runtime.block_on(async {
        let repository = Repository::new(&settings)?;
        Watch::new(&order, &settings, &repository).run().await;
        Ok(0)
    })
}

struct Watch<'a> {
    order: &'a Order,
    settings: &'a Settings,
    repository: &'a Repository,
    path: String,
    etag: Option<HeaderValue>,
    backoff: Backoff<fn() -> f64>,
    /// What was complained of last: once is enough.
    complaint: Option<String>,
}

impl<'a> Watch<'a> {
    fn new(order: &'a Order, settings: &'a Settings, repository: &'a Repository) -> Self {
        let path = routes::release(
            &settings.app.app,
            &settings.app.resolved(),
            settings.environment.as_ref(),
        );
        Self {
            order,
            settings,
            repository,
            path,
            etag: None,
            backoff: Backoff::new(random),
            complaint: None,
        }
    }

    async fn run(mut self) {
        let mut known = self.order.started;
        while self.init_lives() {
            let Some(seen) = self.look(WAIT).await else {
                continue;
            };
            if seen == known {
                // However often it changes in what does not count.
                tokio::time::sleep(LEAST).await;
                continue;
            }
            let Some(seen) = self.settled(seen).await.filter(|seen| *seen != known) else {
                tracing::info!(
                    stage = "watch",
                    "{} changed, and changed back",
                    self.settings.app
                );
                continue;
            };
            tracing::info!(
                stage = "watch",
                signal = self.order.signal,
                "{} has changed: the init gets signal {}",
                self.settings.app,
                self.order.signal
            );
            if self.init_lives() {
                init::kill(self.order.init, self.order.signal);
            }
            known = seen;
        }
    }

    /// The process that it was started by: a number alone might be another's by now.
    fn init_lives(&self) -> bool {
        getppid().as_raw() == self.order.init
    }

    /// What is there when nothing has changed for the debounce period, and after the splay.
    async fn settled(&mut self, mut seen: Digest) -> Option<Digest> {
        loop {
            tokio::time::sleep(self.settings.change.debounce).await;
            match self.look(Duration::ZERO).await {
                Some(now) if now != seen => seen = now,
                _ => break,
            }
        }
        tokio::time::sleep(self.settings.change.splay.mul_f64(random())).await;
        self.look(Duration::ZERO).await.or(Some(seen))
    }

    /// The substance of what came; `None` when nothing new did.
    async fn look(&mut self, wait: Duration) -> Option<Digest> {
        let begin = tokio::time::Instant::now();
        match self
            .repository
            .poll(&self.path, self.etag.as_ref(), wait)
            .await
        {
            Ok(Polled::Unchanged) => {
                self.heard();
                Self::rest(begin, wait).await;
                None
            }
            Ok(Polled::Changed { etag, body }) => {
                // Without a tag, or with the one that it was told, the same would come again at once.
                if etag.is_none() || etag == self.etag {
                    Self::rest(begin, wait).await;
                }
                self.etag = etag;
                match release::read(&body, self.settings) {
                    Ok(release) => {
                        self.heard();
                        Some(release.substance())
                    }
                    Err(failure) => self.complain(failure.chain(), WAIT).await,
                }
            }
            Err(Attempt::Fatal(failure)) => self.complain(failure.chain(), WAIT).await,
            Err(Attempt::Transient {
                reason,
                retry_after,
                ..
            }) => {
                let delay = self.backoff.next().max(retry_after.unwrap_or_default());
                self.complain(reason, delay).await
            }
        }
    }

    /// After an answer that came too soon for a server that waits, whatever it says of itself.
    async fn rest(begin: tokio::time::Instant, wait: Duration) {
        if begin.elapsed() < wait / 2 {
            tokio::time::sleep(wait.mul_f64(0.5 + random() / 2.0)).await;
        }
    }

    fn heard(&mut self) {
        self.backoff.reset();
        if self.complaint.take().is_some() {
            tracing::info!(stage = "watch", "the repository answers again");
        }
    }

    async fn complain<T>(&mut self, complaint: String, delay: Duration) -> Option<T> {
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::warn!(
                stage = "watch",
                "changes of {} cannot be seen: {complaint}; the app runs on, and it is tried again",
                self.settings.app
            );
            self.complaint = Some(complaint);
        }
        tokio::time::sleep(delay).await;
        None
    }
}
