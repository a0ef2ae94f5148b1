//! `bootstrap _watch`: watches the repository for changes of the running release, and signals the init
//! (`ON_CHANGE`).
//!
//! 1. read the [`order`] from standard input, and close it: the app must not read the token
//! 2. long poll with `Prefer: wait=30` and `If-None-Match`; poll regularly if the server does not wait
//! 3. verify the release as at a start; wait until a change of substance lasts for the debounce period
//! 4. wait for the splay, so that containers do not all react at once
//! 5. send the signal

mod order;

use std::io::Read as _;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{close, getppid};
use repository_api::{Digest, routes};
use reqwest::header::HeaderValue;

use crate::early;
use crate::exit::{Exit, Failure};
use crate::init;
use crate::logging;
use crate::release;
use crate::repository::attempt::Attempt;
use crate::repository::backoff::Backoff;
use crate::repository::retry::random;
use crate::repository::{Polled, Repository};
use crate::settings::Settings;
pub(crate) use order::Order;

/// Duration of a long poll, and interval of polls of a server that does not wait.
const WAIT: Duration = Duration::from_secs(30);

/// Minimum interval of answers.
const MIN_INTERVAL: Duration = Duration::from_millis(200);

/// Watches until the init ends.
pub(crate) fn run() -> Result<i32, Failure> {
    let failed = |reason: &str| {
        Failure::new(
            Exit::CannotWrite,
            format!("failed to watch for changes: {reason}"),
        )
    };
    early::exit_silently();
    // Hides this process's memory from other processes of the same user.
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
    // Standard input is the order. The end of standard output tells the init that the order is safe.
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
    /// The last logged problem, which is not logged again.
    problem: Option<String>,
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
            problem: None,
        }
    }

    async fn run(mut self) {
        let mut known = self.order.started;
        while self.init_lives() {
            let Some(seen) = self.poll(WAIT).await else {
                continue;
            };
            if seen == known {
                // Limits the rate of changes without substance.
                tokio::time::sleep(MIN_INTERVAL).await;
                continue;
            }
            let Some(seen) = self.debounced(seen).await.filter(|seen| *seen != known) else {
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
                "{} has changed: sending signal {} to the init",
                self.settings.app,
                self.order.signal
            );
            if self.init_lives() {
                init::kill(self.order.init, self.order.signal);
            }
            known = seen;
        }
    }

    /// Whether the init is still the parent. Another process can get the init's id.
    fn init_lives(&self) -> bool {
        getppid().as_raw() == self.order.init
    }

    /// The substance after the debounce period without a change, and after the splay.
    async fn debounced(&mut self, mut seen: Digest) -> Option<Digest> {
        loop {
            tokio::time::sleep(self.settings.change.debounce).await;
            match self.poll(Duration::ZERO).await {
                Some(now) if now != seen => seen = now,
                _ => break,
            }
        }
        tokio::time::sleep(self.settings.change.splay.mul_f64(random())).await;
        self.poll(Duration::ZERO).await.or(Some(seen))
    }

    /// The substance of a new answer.
    async fn poll(&mut self, wait: Duration) -> Option<Digest> {
        let begin = tokio::time::Instant::now();
        match self
            .repository
            .poll(&self.path, self.etag.as_ref(), wait)
            .await
        {
            Ok(Polled::Unchanged) => {
                self.note_answer();
                Self::delay_poll(begin, wait).await;
                None
            }
            Ok(Polled::Changed { etag, body }) => {
                // Without a new tag, the server would send the same answer at once.
                if etag.is_none() || etag == self.etag {
                    Self::delay_poll(begin, wait).await;
                }
                self.etag = etag;
                match release::read(&body, self.settings) {
                    Ok(release) => {
                        self.note_answer();
                        Some(release.substance())
                    }
                    Err(failure) => self.pause(failure.chain(), WAIT).await,
                }
            }
            Err(Attempt::Fatal(failure)) => self.pause(failure.chain(), WAIT).await,
            Err(Attempt::Transient {
                reason,
                retry_after,
                ..
            }) => {
                let delay = self.backoff.next().max(retry_after.unwrap_or_default());
                self.pause(reason, delay).await
            }
        }
    }

    /// Waits if the server answered too soon for a long poll.
    async fn delay_poll(begin: tokio::time::Instant, wait: Duration) {
        if begin.elapsed() < wait / 2 {
            tokio::time::sleep(wait.mul_f64(0.5 + random() / 2.0)).await;
        }
    }

    fn note_answer(&mut self) {
        self.backoff.reset();
        if self.problem.take().is_some() {
            tracing::info!(stage = "watch", "the repository answers again");
        }
    }

    async fn pause<T>(&mut self, problem: String, delay: Duration) -> Option<T> {
        if self.problem.as_ref() != Some(&problem) {
            tracing::warn!(
                stage = "watch",
                "failed to watch {} for changes: {problem}; the app keeps running, and bootstrap retries",
                self.settings.app
            );
            self.problem = Some(problem);
        }
        tokio::time::sleep(delay).await;
        None
    }
}
