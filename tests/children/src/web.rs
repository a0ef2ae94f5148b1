//! `web`: an app behind the load balancer, with faults that its config selects.
//!
//! | variable | effect |
//! |---|---|
//! | `TROUBLE=ends` | exits with 3 at once |
//! | `TROUBLE=ends-later` | becomes ready, and exits with 3 after a second |
//! | `TROUBLE=never-ready` | `/status` always answers 503 |
//! | `ON_TERM=dies` | has no handler for SIGTERM, so it dies at once |
//! | `POSTS=FILE` | appends the body of each POST to a file before the answer |

use std::error::Error;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long `/slow` takes.
const SLOW: Duration = Duration::from_secs(3);

/// RFC 6455, section 7.4.1.
const GOING_AWAY: u16 = 1001;

struct App {
    identity: HeaderValue,
    is_ready: bool,
    posts: Option<Mutex<std::fs::File>>,
    /// Becomes true on SIGTERM.
    stops: watch::Receiver<bool>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let trouble = variable("TROUBLE").unwrap_or_default();
    if trouble == "ends" {
        std::process::exit(3);
    }
    let variable_or_unknown = |name: &str| variable(name).unwrap_or_else(|| "?".to_owned());
    let identity = format!(
        "{} {} {}",
        variable_or_unknown("PLATFORM_APP"),
        variable_or_unknown("PLATFORM_RELEASE"),
        variable_or_unknown("HOSTNAME")
    );
    let posts = variable("POSTS")
        .map(|path| {
            std::fs::File::options()
                .create(true)
                .append(true)
                .open(path)
        })
        .transpose()?;
    let (stop, stops) = watch::channel(false);
    let app = Arc::new(App {
        identity: HeaderValue::from_str(&identity)?,
        is_ready: trouble != "never-ready",
        posts: posts.map(Mutex::new),
        stops: stops.clone(),
    });
    let router = Router::new()
        .route("/", get(async || "hello\n"))
        .route("/status", get(status))
        .route("/slow", get(slow))
        .route("/posts", post(append))
        .route("/echo", get(echo))
        .route("/headers", get(headers))
        .route("/elsewhere", get(elsewhere))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            add_identity,
        ))
        .with_state(app);
    if variable("ON_TERM").is_none_or(|what| what != "dies") {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            terminate.recv().await;
            let _ = stop.send(true);
        });
    } else {
        // Keeps the channel open, so that no stop is signalled.
        std::mem::forget(stop);
    }
    if trouble == "ends-later" {
        tokio::spawn(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            std::process::exit(3);
        });
    }
    let port = variable("PORT").unwrap_or_default().parse()?;
    let listener =
        tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await?;
    axum::serve(listener, router)
        .with_graceful_shutdown(stop_requested(stops))
        .await?;
    // The server doesn't wait for WebSockets, whose close frames need a moment.
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(())
}

async fn stop_requested(mut stops: watch::Receiver<bool>) {
    if stops.wait_for(|stops| *stops).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn add_identity(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert("x-platform-app", app.identity.clone());
    response
}

async fn status(State(app): State<Arc<App>>) -> Response {
    if app.is_ready {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "db refused\n").into_response()
}

async fn slow() -> &'static str {
    tokio::time::sleep(SLOW).await;
    "slow\n"
}

/// Returns the request headers, one per line.
async fn headers(headers: HeaderMap) -> String {
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    lines.concat()
}

/// Tries to make nginx serve an internal address.
async fn elsewhere() -> Response {
    let address = "/.well-known/acme-challenge/secret";
    ([("x-accel-redirect", address)], "mine\n").into_response()
}

async fn append(State(app): State<Arc<App>>, body: String) -> Response {
    let Some(posts) = &app.posts else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // A single write, so that the lines of several replicas don't mix (write(2), O_APPEND).
    let line = format!("{}\n", body.trim());
    let is_saved = posts
        .lock()
        .is_ok_and(|mut file| file.write_all(line.as_bytes()).is_ok());
    if is_saved {
        (StatusCode::CREATED, line).into_response()
    } else {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

async fn echo(State(app): State<Arc<App>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| echo_messages(socket, app.stops.clone()).await)
}

async fn echo_messages(mut socket: WebSocket, stops: watch::Receiver<bool>) {
    let stopped = stop_requested(stops);
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    if socket.send(Message::Text(text)).await.is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                _ => return,
            },
            () = &mut stopped => {
                let frame = CloseFrame { code: GOING_AWAY, reason: "the server is stopping".into() };
                let _ = socket.send(Message::Close(Some(frame))).await;
                return;
            }
        }
    }
}
