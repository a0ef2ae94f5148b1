//! The delays of a back-off with full jitter. The caller sleeps.
//! (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>)

use std::time::Duration;

const BASE: Duration = Duration::from_millis(200);
const CAP: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Backoff<R> {
    /// Uniform in [0, 1).
    random: R,
    failures: u32,
}

impl<R: FnMut() -> f64> Backoff<R> {
    pub(crate) fn new(random: R) -> Self {
        Self {
            random,
            failures: 0,
        }
    }

    /// The delay after another failure: random below a ceiling that doubles up to the cap.
    pub(crate) fn next(&mut self) -> Duration {
        let ceiling = BASE
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(CAP);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64((self.random)().clamp(0.0, 1.0))
    }

    /// Makes the next failure count as the first one.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ceilings_double_up_to_the_cap() {
        let mut backoff = Backoff::new(|| 1.0);
        let ceilings: Vec<u128> = (0..8).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(ceilings, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.next(), BASE);
    }

    proptest! {
        #[test]
        fn delays_stay_below_the_ceiling(random in 0.0..1.0_f64, failures in 0..1000_u32) {
            let mut backoff = Backoff { random: || random, failures };
            let delay = backoff.next();
            prop_assert!(delay <= CAP);
            prop_assert!(delay.as_secs_f64() <= 0.2 * 2_f64.powf(f64::from(failures)));
        }
    }
}
