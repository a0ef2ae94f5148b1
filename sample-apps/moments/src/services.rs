//! What this app needs to serve, and why it has to wait where it must.

use std::error::Error;

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Redis,
    Pictures,
}

/// Of each service, why it cannot be used; nothing where it can.
#[derive(Debug, Clone)]
struct State {
    redis: Option<String>,
    pictures: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Services(watch::Sender<State>);

impl Services {
    pub(crate) fn new() -> Self {
        let first = || Some("not asked yet".to_owned());
        Self(watch::Sender::new(State {
            redis: first(),
            pictures: first(),
        }))
    }

    /// Whoever waits is told, and the log, if it is news.
    pub(crate) fn set(&self, service: Service, reason: Option<String>) {
        self.0.send_if_modified(|state| {
            let (name, place) = match service {
                Service::Redis => ("redis", &mut state.redis),
                Service::Pictures => ("pictures", &mut state.pictures),
            };
            if *place == reason {
                return false;
            }
            if let Some(reason) = &reason {
                tracing::warn!(service = name, reason, "waiting");
            } else {
                tracing::info!(service = name, "ready");
            }
            *place = reason;
            true
        });
    }

    /// Why the app waits, in one line; nothing when it does not.
    pub(crate) fn waiting(&self) -> Option<String> {
        line(&self.0.borrow())
    }

    pub(crate) fn watch(&self) -> Changes {
        Changes(self.0.subscribe())
    }
}

#[derive(Debug)]
pub(crate) struct Changes(watch::Receiver<State>);

impl Changes {
    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Option<String> {
        if self.0.changed().await.is_err() {
            // The services are as old as the app: this is its end.
            std::future::pending::<()>().await;
        }
        line(&self.0.borrow_and_update())
    }
}

fn line(state: &State) -> Option<String> {
    let reasons: Vec<String> = [("redis", &state.redis), ("pictures", &state.pictures)]
        .into_iter()
        .filter_map(|(name, reason)| Some(format!("{name}: {}", reason.as_ref()?)))
        .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The deepest cause of an error, in a few words: what lies above it may name an address.
pub(crate) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    let text = deepest.to_string();
    let text = text.lines().next().unwrap_or_default();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars().take(120);
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn one_line_says_what_is_waited_for() {
        let services = Services::new();
        services.set(Service::Pictures, None);
        services.set(Service::Redis, Some("connection refused".into()));
        assert_eq!(services.waiting().unwrap(), "redis: connection refused");
        services.set(Service::Pictures, Some("timed out".into()));
        let both = "redis: connection refused; pictures: timed out";
        assert_eq!(services.waiting().unwrap(), both);
        services.set(Service::Redis, None);
        services.set(Service::Pictures, None);
        assert_eq!(services.waiting(), None);
    }

    #[test]
    fn the_cause_is_told_and_not_the_address() {
        #[derive(Debug, thiserror::Error)]
        #[error("failed to ask http://someone:canary@host/")]
        struct Asking(#[source] io::Error);
        for refused in [
            io::Error::from(io::ErrorKind::ConnectionRefused),
            io::Error::from_raw_os_error(111),
            io::Error::other(io::Error::from_raw_os_error(111)),
        ] {
            assert_eq!(reason(&Asking(refused)), "connection refused");
        }
        assert_eq!(
            reason(&io::Error::other("a name is not known")),
            "a name is not known"
        );
    }
}
