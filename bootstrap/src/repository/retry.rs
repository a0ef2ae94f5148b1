//! The retry loop: full jitter, `Retry-After`, and one deadline for the whole fetch.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::Attempt;
use super::backoff::Backoff;
use crate::exit::{Exit, Failure};

/// Minimum time for another attempt.
const MIN_ATTEMPT: Duration = Duration::from_millis(20);

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

    /// Repeats `work` until it succeeds, fails fatally, or the deadline is near.
    pub(crate) async fn until_deadline<T>(
        &self,
        request: &str,
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
                Err(Attempt::Fatal(failure)) => return Err(failure.about(request)),
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
                        "{request}: {reason}; the server asks to wait {asked:?}, longer than the deadline of {:?}: raise BOOTSTRAP_DEADLINE",
                        self.allowed
                    ),
                ));
            }
            if last || remaining < MIN_ATTEMPT {
                return Err(Failure::new(
                    Exit::Unreachable,
                    format!(
                        "{request} did not succeed within {:?}, in {number} attempts: {reason}",
                        self.allowed
                    ),
                ));
            }
            let mut delay = backoff.next().max(retry_after.unwrap_or_default());
            if delay >= remaining {
                // The last attempt gets half of the remaining time.
                last = true;
                delay = remaining / 2;
            }
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                attempt = number,
                delay_ms,
                "{request}: {reason}; attempt {} in {delay_ms} ms",
                number + 1
            );
            tokio::time::sleep(delay).await;
            number += 1;
        }
    }
}

/// A uniform number in [0, 1), from the standard library's random hash keys.
pub(crate) fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    // A double holds 32 bits exactly.
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}
