//! Metrics for Prometheus at `/metrics`, in `OpenMetrics` format.

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

/// Histogram buckets in seconds: from a small response to a slow upload.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0];

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<MethodLabel, Histogram>,
    /// Counter of the most frequent request. Kept here to avoid a lookup in `requests`.
    get_ok: Counter,
    get_seconds: Histogram,
    /// Open connections.
    pub(crate) connections: Gauge,
    /// Long polls that wait for a change.
    pub(crate) waiting: Gauge,
    /// Open event streams.
    pub(crate) following: Gauge,
    /// Requests with an unknown, revoked or expired token.
    pub(crate) tokens_refused: Counter,
    last_check: Arc<LastCheck>,
    findings: Gauge<u64, AtomicU64>,
    checked: Gauge<u64, AtomicU64>,
    memory: Gauge<u64, AtomicU64>,
    descriptors: Gauge<u64, AtomicU64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: Method,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: Method,
}

/// The method as a label. `Other` limits the number of labels, because clients can send any method.
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
        let requests: Family<RequestLabels, Counter> = Family::default();
        registry.register("requests", "Handled requests", requests.clone());
        let seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register_with_unit(
            "request",
            "Time until the head of the response was ready",
            Unit::Seconds,
            seconds.clone(),
        );
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let connections = gauge("connections", "Open connections");
        let waiting = gauge("long_polls", "Long polls that wait for a change");
        let following = gauge("event_streams", "Open event streams");
        let tokens_refused = Counter::default();
        registry.register(
            "tokens_refused",
            "Requests with a token that is unknown, revoked or expired",
            tokens_refused.clone(),
        );
        let labels = RequestLabels {
            method: Method::Get,
            status: 200,
        };
        let get_ok = requests.get_or_create(&labels).clone();
        let method_label = MethodLabel {
            method: Method::Get,
        };
        let get_seconds = seconds.get_or_create(&method_label).clone();
        let mut unsigned = |name: &str, help: &str| {
            let gauge: Gauge<u64, AtomicU64> = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let findings = unsigned(
            "check_findings",
            "Damaged or missing objects that the last check found",
        );
        let checked = unsigned(
            "check_ended_timestamp_seconds",
            "Time when the last check ended; 0 before the first check",
        );
        let descriptors = unsigned("open_files", "Open file descriptors of the process");
        let memory: Gauge<u64, AtomicU64> = Gauge::default();
        registry.register_with_unit(
            "resident_memory",
            "Resident memory of the process",
            Unit::Bytes,
            memory.clone(),
        );
        Self {
            registry,
            requests,
            seconds,
            get_ok,
            get_seconds,
            connections,
            waiting,
            following,
            tokens_refused,
            last_check,
            findings,
            checked,
            memory,
            descriptors,
        }
    }

    pub(crate) fn record(&self, method: &http::Method, status: u16, elapsed: Duration) {
        if status == 200 && *method == http::Method::GET {
            self.get_ok.inc();
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
            .get_or_create(&RequestLabels { method, status })
            .inc();
        self.seconds
            .get_or_create(&MethodLabel { method })
            .observe(elapsed.as_secs_f64());
    }

    pub(crate) fn text(&self) -> String {
        self.memory.set(resident_bytes().unwrap_or(0));
        self.descriptors.set(open_files().unwrap_or(0));
        self.findings.set(self.last_check.findings());
        self.checked.set(self.last_check.ended());
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn seconds() -> Histogram {
    Histogram::new(BUCKETS)
}

/// Resident memory, from the second field of `/proc/self/statm` (proc(5)), in pages.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn open_files() -> Option<u64> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    Some(entries.count() as u64)
}

/// Increments a gauge until dropped.
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
