//! The log goes to standard error, because standard output is the app's. Each event is a line: a sentence,
//! or JSON with all fields.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::exit::Failure;

static STARTED: AtomicBool = AtomicBool::new(false);
static JSON: AtomicBool = AtomicBool::new(false);

/// Settings of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log {
    pub(crate) json: bool,
    pub(crate) level: tracing::Level,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            json: false,
            level: tracing::Level::INFO,
        }
    }
}

/// Starts the log.
pub(crate) fn start(log: Log) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(log.level)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let started = if log.json {
        builder
            .json()
            .flatten_event(true)
            .with_target(false)
            .try_init()
    } else {
        builder.event_format(Sentence).try_init()
    };
    STARTED.store(started.is_ok(), Ordering::Relaxed);
}

/// Logs the failure that ends the process.
pub(crate) fn failure(failure: &Failure) {
    if STARTED.load(Ordering::Relaxed) {
        tracing::error!(exit_code = failure.exit.code(), "{}", failure.chain());
    } else {
        line("ERROR", &failure.chain());
    }
}

/// Logs a line without `tracing`: for the init, which must stay small, and for failures before the start
/// of the log.
pub(crate) fn info(text: &str) {
    line("INFO", text);
}

fn line(level: &str, text: &str) {
    use std::io::Write as _;
    let line = if JSON.load(Ordering::Relaxed) {
        format!(
            "{}\n",
            serde_json::json!({ "level": level, "message": text })
        )
    } else {
        format!("bootstrap: {text}\n")
    };
    // A single write keeps the lines of several processes apart. A failure cannot be reported.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Sets the format of [`info`].
pub(crate) fn set_json(json: bool) {
    JSON.store(json, Ordering::Relaxed);
}

/// `bootstrap: ` and the sentence. The container engine adds the time.
struct Sentence;

impl<S, N> FormatEvent<S, N> for Sentence
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        // Events of libraries show their target.
        let ours = event.metadata().target().starts_with("bootstrap");
        match level {
            Level::ERROR => write!(writer, "bootstrap: ")?,
            Level::WARN => write!(writer, "bootstrap: warning: ")?,
            _ if ours => write!(writer, "bootstrap: ")?,
            _ => write!(writer, "bootstrap: {}: ", event.metadata().target())?,
        }
        let mut message = Message(writer.by_ref());
        event.record(&mut message);
        writeln!(writer)
    }
}

struct Message<'a>(Writer<'a>);

impl tracing::field::Visit for Message<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}
