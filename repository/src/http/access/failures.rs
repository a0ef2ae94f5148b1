//! Rate limit for invalid tokens, per client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Maximum failures per interval before the client must wait.
const MAX_FAILURES: u32 = 20;
const INTERVAL: Duration = Duration::from_mins(1);

/// Maximum addresses to track. Beyond the limit, the oldest half is dropped.
const MAX_ADDRESSES: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Start of the interval, and failures in it.
    counts: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl Failures {
    /// Counts a failure; returns how long the client must wait after too many of them.
    pub(super) fn count(&self, from: IpAddr) -> Option<Duration> {
        self.count_at(network(from), Instant::now())
    }

    fn count_at(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_ADDRESSES {
            let mut starts: Vec<Instant> = counts.values().map(|(since, _)| *since).collect();
            let middle = starts.len() / 2;
            let median = *starts.select_nth_unstable(middle).1;
            counts.retain(|_, (since, _)| *since > median);
        }
        let (since, count) = counts.entry(from).or_insert((now, 0));
        if now.duration_since(*since) >= INTERVAL {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        if *count == MAX_FAILURES + 1 {
            tracing::warn!(%from, "too many invalid tokens from one address");
        }
        (*count > MAX_FAILURES).then(|| INTERVAL.saturating_sub(now.duration_since(*since)))
    }
}

/// The network of an address: an IPv6 client usually controls a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(network.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_limited_per_minute_and_network() {
        let failures = Failures::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let now = Instant::now();
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        for _ in 0..MAX_FAILURES {
            assert_eq!(failures.count_at(one, now), None);
        }
        assert_eq!(failures.count_at(one, now), Some(INTERVAL));
        assert_eq!(failures.count_at(other, now), None);
        assert_eq!(failures.count_at(one, now + INTERVAL), None);
        assert_eq!(network(address("2001:db8::1:2")), address("2001:db8::"));
        assert_eq!(network(address("::ffff:10.0.0.1")), one);
    }

    #[test]
    fn the_number_of_addresses_is_limited() {
        let failures = Failures::default();
        let now = Instant::now();
        for number in 0..3 * MAX_ADDRESSES {
            let address = IpAddr::V4(u32::try_from(number).unwrap().into());
            failures.count_at(address, now + Duration::from_micros(number as u64));
            assert!(failures.counts.lock().unwrap().len() <= MAX_ADDRESSES);
        }
    }
}
