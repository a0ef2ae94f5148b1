//! Figures for `cargo bench`: peers side by side in one run, medians and ratios.

use std::time::Duration;

/// The middle of the measurements.
///
/// # Panics
///
/// Where nothing was measured.
pub fn median<T: Ord + Copy>(figures: &[T]) -> T {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// The measurement that so many in a hundred are not above.
///
/// # Panics
///
/// Where nothing was measured.
pub fn percentile<T: Ord + Copy>(figures: &[T], rank: usize) -> T {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * rank).div_ceil(100) - 1]
}

/// Runs every peer once a round, so that what disturbs the machine disturbs all of them, and
/// returns each one's figures.
pub fn rounds<T>(rounds: usize, peers: &mut [&mut dyn FnMut() -> T]) -> Vec<Vec<T>> {
    let mut figures: Vec<Vec<T>> = peers.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (peer, figures) in peers.iter_mut().zip(&mut figures) {
            figures.push(peer());
        }
    }
    figures
}

/// Milliseconds, with one decimal.
pub fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// How many times as long the peer takes.
pub fn ratio(peer: Duration, ours: Duration) -> String {
    format!("{:.2}x", peer.as_secs_f64() / ours.as_secs_f64())
}

/// `CLOCK_MONOTONIC`, which all processes share.
///
/// # Panics
///
/// Where the machine has no such clock.
pub fn now() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("a clock");
    time.into()
}
