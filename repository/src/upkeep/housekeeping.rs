//! Background work of a server: `gc` at intervals, and a slow, continuous `check`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::check::{self, Finding, LastCheck, Report};
use super::gc;
use crate::domain::catalogue::Catalogue;

/// Minimum time between the starts of two checks.
const CHECK_INTERVAL: Duration = Duration::from_hours(24);

/// The pause before the first check, and the minimum pause between two: a server that has just started is busy.
const CHECK_PAUSE: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy)]
pub(crate) struct UpkeepSettings {
    /// Time between two runs of `gc`; zero for none.
    pub(crate) gc_interval: Duration,
    /// Minimum age at which `gc` deletes an unreferenced blob.
    pub(crate) gc_age: Duration,
    /// Bytes per second that the check reads; zero for no check.
    pub(crate) check_rate: u64,
}

pub(crate) fn start(
    catalogue: &Arc<Catalogue>,
    settings: UpkeepSettings,
    last_check: &Arc<LastCheck>,
) {
    if !settings.gc_interval.is_zero() {
        tokio::spawn(collect(Arc::clone(catalogue), settings));
    }
    if settings.check_rate > 0 {
        let (catalogue, last_check) = (Arc::clone(catalogue), Arc::clone(last_check));
        tokio::spawn(check_slowly(catalogue, settings.check_rate, last_check));
    }
}

async fn collect(catalogue: Arc<Catalogue>, settings: UpkeepSettings) {
    loop {
        tokio::time::sleep(settings.gc_interval).await;
        let outcome = match gc::find(&catalogue, settings.gc_age).await {
            Ok(garbage) => {
                let report = |line| tracing::info!("gc: {line}");
                gc::delete(&catalogue, settings.gc_age, garbage, report)
                    .await
                    .map_err(|error| error.chain())
            }
            Err(error) => Err(error.chain()),
        };
        if let Err(error) = outcome {
            tracing::warn!(error, "gc failed and will run again");
        }
    }
}

/// Logs findings, and limits the rate of reading.
struct SlowReport {
    /// Bytes per second.
    rate: u64,
    began: Instant,
    bytes: u64,
}

impl Report for SlowReport {
    fn found(&mut self, Finding { subject, problem }: Finding) {
        tracing::error!(subject, problem, "the check found damage");
    }

    async fn read(&mut self, bytes: u64) {
        self.bytes += bytes;
        let due = Duration::from_millis(self.bytes.saturating_mul(1000) / self.rate);
        tokio::time::sleep(due.saturating_sub(self.began.elapsed())).await;
    }
}

async fn check_slowly(catalogue: Arc<Catalogue>, rate: u64, last_check: Arc<LastCheck>) {
    tokio::time::sleep(CHECK_PAUSE).await;
    loop {
        let mut report = SlowReport {
            rate,
            began: Instant::now(),
            bytes: 0,
        };
        match check::check(catalogue.storage(), &mut report).await {
            Ok((checked, _)) => {
                last_check.record(checked);
                tracing::info!(
                    entries = checked.entries,
                    artefacts = checked.artefacts,
                    bytes = checked.bytes,
                    findings = checked.findings,
                    "checked the store"
                );
            }
            Err(error) => tracing::warn!(error = %error.chain(), "the check was interrupted"),
        }
        tokio::time::sleep(
            CHECK_INTERVAL
                .saturating_sub(report.began.elapsed())
                .max(CHECK_PAUSE),
        )
        .await;
    }
}
