//! What a server does by itself, beside serving: `gc` now and then, and `check`, slowly, all the time.

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::Repository;
use crate::upkeep::check::{self, Finding, Report};
use crate::upkeep::gc;

/// Between two passes of the check, however quick they are.
const PASS: Duration = Duration::from_hours(24);

/// Before the first one: a server that was just started has other things to do.
const FIRST: Duration = Duration::from_mins(1);

pub(crate) fn start(repository: &Arc<Repository>) {
    let settings = &repository.settings;
    if !settings.gc_interval.is_zero() {
        tokio::spawn(collect(Arc::clone(repository), settings.gc_interval));
    }
    if settings.check_rate > 0 {
        tokio::spawn(check_slowly(Arc::clone(repository), settings.check_rate));
    }
}

async fn collect(repository: Arc<Repository>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let outcome = match gc::look(&repository).await {
            Ok(garbage) => gc::delete(&repository, garbage, |line| tracing::info!("gc: {line}"))
                .await
                .map_err(|failure| failure.detail),
            Err(error) => Err(error.chain()),
        };
        if let Err(error) = outcome {
            tracing::warn!(error, "gc failed: it tries again later");
        }
    }
}

/// Findings go to the log, and reading goes at a rate.
struct Slowly {
    /// Bytes a second.
    rate: u64,
    began: Instant,
    bytes: u64,
}

impl Report for Slowly {
    fn found(&mut self, Finding { subject, problem }: Finding) {
        tracing::error!(subject, problem, "the check found damage");
    }

    async fn read(&mut self, bytes: u64) {
        self.bytes += bytes;
        let due = Duration::from_millis(self.bytes.saturating_mul(1000) / self.rate);
        tokio::time::sleep(due.saturating_sub(self.began.elapsed())).await;
    }
}

async fn check_slowly(repository: Arc<Repository>, rate: u64) {
    tokio::time::sleep(FIRST).await;
    loop {
        let mut report = Slowly {
            rate,
            began: Instant::now(),
            bytes: 0,
        };
        match check::everything(&repository.storage, &mut report).await {
            Ok((checked, _)) => {
                let metrics = &repository.metrics;
                let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
                metrics.checked.set(i64::try_from(now).unwrap_or(0));
                metrics
                    .damaged
                    .set(i64::try_from(checked.findings).unwrap_or(i64::MAX));
                tracing::info!(
                    entries = checked.entries,
                    artefacts = checked.artefacts,
                    bytes = checked.bytes,
                    findings = checked.findings,
                    "checked everything"
                );
            }
            Err(error) => tracing::warn!(error = %error.chain(), "the check was cut off"),
        }
        tokio::time::sleep(PASS.saturating_sub(report.began.elapsed()).max(FIRST)).await;
    }
}
