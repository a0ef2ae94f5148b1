//! The log: to standard error, one line an event, as text or JSON.
//!
//! As text: `level message name=value`. A value is quoted where it would not be one word, so that nobody can
//! write a line of the log by way of a name.

mod output;

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, layer as fmt_layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::settings::Settings;
use output::Output;

pub(crate) fn start(settings: &Settings) {
    let level = LevelFilter::from_level(settings.log_level);
    // What libraries say of each attempt is for who looks for a fault in them.
    let others = if level > LevelFilter::INFO {
        level
    } else {
        level.min(LevelFilter::WARN)
    };
    let wanted = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_default(others);
    // A log that cannot be written must not end the server: what says so would go the same way, and panic.
    let layer = fmt_layer()
        .with_writer(Output)
        .with_ansi(false)
        .log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(wanted);
    if settings.log_json {
        registry.with(layer.json().flatten_event(true)).init();
    } else {
        registry.with(layer.event_format(Line)).init();
    }
}

/// A line of text: a request has one each, so it costs little.
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
