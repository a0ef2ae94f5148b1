//! `GET /events?after=ID`, a WebSocket (RFC 6455): sends a window the events that it missed, and then every event
//! as it happens.
//!
//! Windows only receive. The server reads their frames, up to a limit, to notice when they close. Events wait in a
//! bounded queue: a window that reads too slowly is closed, and catches up when it reconnects.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, interval_at, timeout};

use crate::app::App;
use crate::hub::Update;
use crate::page;
use crate::refusal::Refusal;

/// Size of a message from a window.
const MESSAGE_BYTES: usize = 1 << 10;

/// Shorter than the idle time-outs of proxies.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// A window that has left two pings unanswered is gone.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(50);

/// Limit for sending one message.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Limit for the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize)]
pub(crate) struct Parameters {
    after: Option<String>,
}

pub(crate) async fn window(
    State(app): State<Arc<App>>,
    Query(parameters): Query<Parameters>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refusal> {
    let Ok(permit) = Arc::clone(&app.windows).try_acquire_owned() else {
        return Err(Refusal::unavailable("too many windows are open: retry"));
    };
    let upgrade = upgrade
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(MESSAGE_BYTES)
        .read_buffer_size(4 << 10);
    Ok(upgrade.on_upgrade(async move |mut socket| {
        if let Some((code, reason)) = run(&app, &parameters, &mut socket).await {
            close(socket, code, reason).await;
        }
        drop(permit);
    }))
}

/// Close code and reason.
type Closing = (u16, &'static str);

/// Sends events until the window is to be closed. `None` if the window is gone already.
async fn run(app: &App, parameters: &Parameters, socket: &mut WebSocket) -> Option<Closing> {
    let mut services = app.services.watch();
    let mut stop = Box::pin(app.stop.clone().requested());
    let after = parameters.after.as_deref().and_then(|id| id.parse().ok());
    let (missed, mut updates) = app.hub.join(after);
    send(socket, page::state(app.services.waiting_for().as_deref())).await?;
    match missed {
        Some(missed) => {
            for event in &missed {
                send(socket, page::event(event)).await?;
            }
        }
        None => send(socket, page::snapshot(app)).await?,
    }

    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    let mut last_heard = Instant::now();
    loop {
        let text = tokio::select! {
            () = &mut stop => return Some((close_code::AWAY, "this replica is stopping: reconnect")),
            received = socket.recv() => match received {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                    last_heard = Instant::now();
                    continue;
                }
                // The library has answered the close frame.
                Some(Ok(Message::Close(_))) | None => return None,
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    return Some((close_code::POLICY, "windows do not send messages"));
                }
                Some(Err(_)) => return Some((close_code::SIZE, "the message is too long or malformed")),
            },
            update = updates.recv() => match update {
                Ok(Update::Event(event)) => page::event(&event),
                Ok(Update::Snapshot) => page::snapshot(app),
                Err(RecvError::Lagged(_)) => return Some((close_code::AGAIN, "the window reads too slowly: reconnect")),
                Err(RecvError::Closed) => return None,
            },
            waiting = services.changed() => page::state(waiting.as_deref()),
            _ = pings.tick() => {
                if last_heard.elapsed() > SILENCE_TIMEOUT {
                    return None;
                }
                send_message(socket, Message::Ping(bytes::Bytes::new())).await?;
                // Scripts don't see pings. This message shows the page that the connection is alive.
                page::state(app.services.waiting_for().as_deref())
            }
        };
        send(socket, text).await?;
    }
}

async fn send(socket: &mut WebSocket, text: String) -> Option<()> {
    send_message(socket, Message::text(text)).await
}

/// `None` if the window is gone or too slow.
async fn send_message(socket: &mut WebSocket, message: Message) -> Option<()> {
    timeout(SEND_TIMEOUT, socket.send(message)).await.ok()?.ok()
}

/// Sends the reason and waits for the reply: closing at once could discard the reason before the window reads it.
async fn close(mut socket: WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    let closing = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = timeout(CLOSE_TIMEOUT, closing).await;
}
