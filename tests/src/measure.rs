//! Statistics for `cargo bench`.

use std::time::Duration;

/// # Panics
///
/// Panics without measurements.
pub fn median<T: Ord + Copy>(figures: &[T]) -> T {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// # Panics
///
/// Panics without measurements.
pub fn percentile<T: Ord + Copy>(figures: &[T], rank: usize) -> T {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * rank).div_ceil(100) - 1]
}

/// Runs every candidate once per round, so that noise on the machine affects all of them. Returns the measurements of
/// each candidate.
pub fn rounds<T>(rounds: usize, candidates: &mut [&mut dyn FnMut() -> T]) -> Vec<Vec<T>> {
    let mut figures: Vec<Vec<T>> = candidates.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (candidate, figures) in candidates.iter_mut().zip(&mut figures) {
            figures.push(candidate());
        }
    }
    figures
}

/// Milliseconds, with one decimal.
pub fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// How many times longer `peer` takes.
pub fn ratio(peer: Duration, ours: Duration) -> String {
    format!("{:.2}x", peer.as_secs_f64() / ours.as_secs_f64())
}

/// The time of `CLOCK_MONOTONIC`, which all processes share.
///
/// # Panics
///
/// Panics if the system has no such clock.
pub fn now() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("a clock");
    time.into()
}
