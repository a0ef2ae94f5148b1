//! The one loop that tries again: full jitter, `Retry-After`, one deadline for the whole fetch.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::Attempt;
use super::backoff::Backoff;
use crate::exit::{Exit, Failure};

/// Less than this is no time for another attempt.
const LEAST: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry {
    deadline: Instant,
    allowed: Duration,
}

impl Retry {
    pub(crate) fn new(allowed: Duration) -> Self {
        Self {
            deadline: Instant::now() + allowed,
            allowed,
        }
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Runs `work` until it succeeds, fails for good, or the deadline is near.
    pub(crate) async fn until_deadline<T>(
        &self,
        what: &str,
        mut work: impl AsyncFnMut() -> Result<T, Attempt>,
    ) -> Result<T, Failure> {
        let mut backoff = Backoff::new(random);
        let mut number = 1_u64;
        let mut last = false;
        loop {
            let outcome = tokio::time::timeout_at(self.deadline, work())
                .await
                .unwrap_or_else(|_| {
                    Err(Attempt::transient("no complete answer before the deadline"))
                });
            let (reason, retry_after, progress) = match outcome {
                Ok(value) => return Ok(value),
                Err(Attempt::Fatal(failure)) => return Err(failure.about(what)),
                Err(Attempt::Transient {
                    reason,
                    retry_after,
                    progress,
                }) => (reason, retry_after, progress),
            };
            if progress {
                backoff.reset();
            }
            let remaining = self.remaining();
            if let Some(asked) = retry_after.filter(|asked| *asked >= remaining) {
                return Err(Failure::new(
                    Exit::Unreachable,
                    format!(
                        "{what}: {reason}; it asks to wait for {asked:?}, past the deadline of {:?}: set BOOTSTRAP_DEADLINE",
                        self.allowed
                    ),
                ));
            }
            if last || remaining < LEAST {
                return Err(Failure::new(
                    Exit::Unreachable,
                    format!(
                        "{what} did not succeed within {:?}, in {number} attempts: {reason}",
                        self.allowed
                    ),
                ));
            }
            let mut delay = backoff.next().max(retry_after.unwrap_or_default());
            if delay >= remaining {
                // One more, with half of what is left for it.
                last = true;
                delay = remaining / 2;
            }
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                attempt = number,
                delay_ms,
                "{what}: {reason}; attempt {} in {delay_ms} ms",
                number + 1
            );
            tokio::time::sleep(delay).await;
            number += 1;
        }
    }
}

/// Uniform in [0, 1). The standard library's hash keys are random per process and differ per call,
/// which is all that jitter needs.
pub(crate) fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    // 32 bits are exact in a double.
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}
