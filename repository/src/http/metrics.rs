//! Figures for Prometheus, at `/metrics`, as `OpenMetrics` text.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::upkeep::check::LastCheck;

/// Bounds of the histogram, in seconds: from a small answer to a slow upload.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0];

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Asked, Histogram>,
    /// The most frequent request, which needs no look-up.
    got: Counter,
    get_seconds: Histogram,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// Requests that wait for a change.
    pub(crate) waiting: Gauge,
    /// Event streams.
    pub(crate) following: Gauge,
    /// Requests with an unknown, revoked or expired token.
    pub(crate) turned_away: Counter,
    last_check: Arc<LastCheck>,
    findings: Gauge<u64, AtomicU64>,
    checked: Gauge<u64, AtomicU64>,
    memory: Gauge<u64, AtomicU64>,
    descriptors: Gauge<u64, AtomicU64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: Method,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: Method,
}

/// Few labels, whatever methods clients invent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Method {
    Get,
    Head,
    Put,
    Delete,
    Other,
}

impl EncodeLabelValue for Method {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Other => "other",
        })
    }
}

impl Metrics {
    pub(crate) fn new(last_check: Arc<LastCheck>) -> Self {
        let mut registry = Registry::with_prefix("repository");
        let requests: Family<Answered, Counter> = Family::default();
        registry.register("requests", "Requests that were answered", requests.clone());
        let seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register_with_unit(
            "request",
            "Until the head of the answer was ready",
            Unit::Seconds,
            seconds.clone(),
        );
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let connections = gauge("connections", "Connections that are open");
        let waiting = gauge("long_polls", "Requests that wait for a change");
        let following = gauge("event_streams", "Event streams");
        let turned_away = Counter::default();
        registry.register(
            "tokens_refused",
            "Requests with a token that is unknown, revoked or expired",
            turned_away.clone(),
        );
        let answered = Answered {
            method: Method::Get,
            status: 200,
        };
        let got = requests.get_or_create(&answered).clone();
        let asked = Asked {
            method: Method::Get,
        };
        let get_seconds = seconds.get_or_create(&asked).clone();
        let mut figure = |name: &str, help: &str| {
            let gauge: Gauge<u64, AtomicU64> = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let findings = figure(
            "check_findings",
            "Objects that the last check found damaged or missing",
        );
        let checked = figure(
            "check_ended_timestamp_seconds",
            "When the last check ended; 0 before the first one",
        );
        let descriptors = figure("open_files", "Descriptors of the process");
        let memory: Gauge<u64, AtomicU64> = Gauge::default();
        registry.register_with_unit(
            "resident_memory",
            "Memory of the process",
            Unit::Bytes,
            memory.clone(),
        );
        Self {
            registry,
            requests,
            seconds,
            got,
            get_seconds,
            connections,
            waiting,
            following,
            turned_away,
            last_check,
            findings,
            checked,
            memory,
            descriptors,
        }
    }

    pub(crate) fn answered(&self, method: &http::Method, status: u16, elapsed: Duration) {
        if status == 200 && *method == http::Method::GET {
            self.got.inc();
            self.get_seconds.observe(elapsed.as_secs_f64());
            return;
        }
        let method = match *method {
            http::Method::GET => Method::Get,
            http::Method::HEAD => Method::Head,
            http::Method::PUT => Method::Put,
            http::Method::DELETE => Method::Delete,
            _ => Method::Other,
        };
        self.requests
            .get_or_create(&Answered { method, status })
            .inc();
        self.seconds
            .get_or_create(&Asked { method })
            .observe(elapsed.as_secs_f64());
    }

    pub(crate) fn text(&self) -> String {
        self.memory.set(resident_bytes().unwrap_or(0));
        self.descriptors.set(open_files().unwrap_or(0));
        self.findings.set(self.last_check.findings());
        self.checked.set(self.last_check.ended());
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// From the second figure of `/proc/self/statm` (proc(5)), in pages.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn open_files() -> Option<u64> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    Some(entries.count() as u64)
}

/// Counts one on a gauge while it exists.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
