//! `GET /events?after=ID`, a WebSocket (RFC 6455): a window is told what it missed, and then what happens.
//!
//! It only listens. What it says is read to notice its end, and is bounded; what it is told waits in a queue
//! that is bounded, too: a window that reads too slowly is closed, and comes back for what it missed.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, interval_at};

use super::Refusal;
use crate::app::App;
use crate::hub::News;
use crate::page;
use crate::stop::at_most;

/// Bytes of what a window may say.
const MOST: usize = 1 << 10;

/// Shorter than what proxies take for silence.
const PING: Duration = Duration::from_secs(20);

/// After so much silence nobody is there; two pings are not answered then.
const SILENCE: Duration = Duration::from_secs(50);

/// For one message to get rid of.
const SLOW: Duration = Duration::from_secs(10);

/// For a window to answer that it is closed.
const FAREWELL: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize)]
pub(crate) struct Since {
    after: Option<String>,
}

pub(crate) async fn open(
    State(app): State<Arc<App>>,
    Query(since): Query<Since>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refusal> {
    let Ok(place) = Arc::clone(&app.windows).try_acquire_owned() else {
        return Err(Refusal::unavailable("too many windows are open: try again"));
    };
    let upgrade = upgrade
        .max_message_size(MOST)
        .max_frame_size(MOST)
        .read_buffer_size(4 << 10);
    Ok(upgrade.on_upgrade(async move |mut socket| {
        if let Some((code, reason)) = tell(&app, &since, &mut socket).await {
            farewell(socket, code, reason).await;
        }
        drop(place);
    }))
}

/// Why a window is closed.
type Closing = (u16, &'static str);

/// Until it ends; the reason for closing it, unless it is gone already.
async fn tell(app: &App, since: &Since, socket: &mut WebSocket) -> Option<Closing> {
    let mut changes = app.services.watch();
    let mut stop = Box::pin(app.stop.clone().asked());
    let after = since.after.as_deref().and_then(|id| id.parse().ok());
    let (missed, mut news) = app.hub.join(after);
    send(socket, page::state(app.services.waiting().as_deref())).await?;
    match missed {
        Some(missed) => {
            for event in &missed {
                send(socket, page::news(event)).await?;
            }
        }
        None => send(socket, page::everything(app)).await?,
    }

    let mut pings = interval_at(Instant::now() + PING, PING);
    let mut heard = Instant::now();
    loop {
        let text = tokio::select! {
            () = &mut stop => return Some((close_code::AWAY, "this replica stops: come back")),
            said = socket.recv() => match said {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                    heard = Instant::now();
                    continue;
                }
                // It is answered where it is read.
                Some(Ok(Message::Close(_))) | None => return None,
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    return Some((close_code::POLICY, "a window only listens"));
                }
                Some(Err(_)) => return Some((close_code::SIZE, "too long, or no WebSocket")),
            },
            told = news.recv() => match told {
                Ok(News::Event(event)) => page::news(&event),
                Ok(News::Everything) => page::everything(app),
                Err(RecvError::Lagged(_)) => return Some((close_code::AGAIN, "too slow: come back")),
                Err(RecvError::Closed) => return None,
            },
            waiting = changes.next() => page::state(waiting.as_deref()),
            _ = pings.tick() => {
                if heard.elapsed() > SILENCE {
                    return None;
                }
                deliver(socket, Message::Ping(bytes::Bytes::new())).await?;
                // A script sees no pings: this is how a page notices that nobody is there any more.
                page::state(app.services.waiting().as_deref())
            }
        };
        send(socket, text).await?;
    }
}

async fn send(socket: &mut WebSocket, text: String) -> Option<()> {
    deliver(socket, Message::text(text)).await
}

/// Nothing if the window is gone, or so slow that it is given up.
async fn deliver(socket: &mut WebSocket, message: Message) -> Option<()> {
    at_most(SLOW, socket.send(message)).await?.ok()
}

/// Says why, and waits a while for the answer: otherwise what was said may be lost with the connection.
async fn farewell(mut socket: WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    let closing = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    at_most(FAREWELL, closing).await;
}
