//! The log on standard error: one line per event, as text or JSON.
//!
//! The text is `LEVEL message name=value`. A value that is not one plain word is quoted, so a client cannot
//! forge a line of the log with a name.

mod output;

use std::{fmt, io};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, layer as fmt_layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::settings::Settings;

/// Starts the log of a command. Like other output of a command, it blocks while standard error is full.
pub(crate) fn start(settings: &Settings) {
    install(settings, BoxMakeWriter::new(io::stderr));
}

/// Starts the log of a server. Dropping the guard writes the lines that are still queued.
pub(crate) fn start_in_background(settings: &Settings) -> WorkerGuard {
    let (writer, guard) = output::start();
    install(settings, BoxMakeWriter::new(writer));
    guard
}

fn install(settings: &Settings, writer: BoxMakeWriter) {
    let level = LevelFilter::from_level(settings.log_level);
    // Libraries log each attempt at INFO. Shown only at DEBUG and TRACE.
    let libraries = if level > LevelFilter::INFO {
        level
    } else {
        level.min(LevelFilter::WARN)
    };
    let wanted = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_default(libraries);
    // An internal error would be printed to standard error, and panic if that fails.
    let layer = fmt_layer()
        .with_writer(writer)
        .with_ansi(false)
        .log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(wanted);
    if settings.log_json {
        registry.with(layer.json().flatten_event(true)).init();
    } else {
        registry.with(layer.event_format(Line)).init();
    }
}

/// Formats a line of text. Cheaper than the subscriber's own format: each request logs a line.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
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
        writer.write_str(event.metadata().level().as_str())?;
        let mut fields = Fields {
            writer,
            outcome: Ok(()),
        };
        event.record(&mut fields);
        fields.outcome?;
        fields.writer.write_char('\n')
    }
}

struct Fields<'a> {
    writer: Writer<'a>,
    outcome: fmt::Result,
}

impl Fields<'_> {
    fn field(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>, bool) -> fmt::Result) {
        if self.outcome.is_err() {
            return;
        }
        let is_message = field.name() == "message";
        self.outcome = self.writer.write_char(' ').and_then(|()| {
            if !is_message {
                self.writer.write_str(field.name())?;
                self.writer.write_char('=')?;
            }
            write(&mut self.writer, is_message)
        });
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |writer, is_message| text(writer, value, is_message));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |writer, _| write!(writer, "{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, |writer, is_message| {
            text(writer, &format!("{value:?}"), is_message)
        });
    }
}

fn text(writer: &mut Writer<'_>, text: &str, is_message: bool) -> fmt::Result {
    let is_plain = |byte: u8| {
        (byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') || (is_message && byte == b' ')
    };
    if !text.is_empty() && text.bytes().all(is_plain) {
        return writer.write_str(text);
    }
    if !is_message {
        return write!(writer, "{text:?}");
    }
    for character in text.chars() {
        if character.is_control() {
            write!(writer, "{}", character.escape_default())?;
        } else {
            writer.write_char(character)?;
        }
    }
    Ok(())
}
