//! `hello-world`: greets over HTTP, and tells which release of it answers.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

struct Greeter {
    greeting: String,
    greeted: AtomicU64,
    /// App, release and host name, for `X-Platform-App`.
    who: HeaderValue,
}

#[derive(Deserialize)]
struct Whom {
    #[serde(default = "world")]
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    id: u64,
    content: String,
}

fn world() -> String {
    "World".to_owned()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable =
        |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let port: u16 = variable("PORT", "8080").parse()?;
    let release = std::env::var("PLATFORM_RELEASE")
        .or_else(|_| std::env::var("PLATFORM_VERSION"))
        .unwrap_or_else(|_| "unreleased".to_owned());
    let who = format!(
        "{} {release} {}",
        variable("PLATFORM_APP", "hello-world"),
        variable("HOSTNAME", "localhost")
    );
    let greeter = Greeter {
        greeting: variable("GREETING", "Hello"),
        greeted: AtomicU64::new(0),
        who: HeaderValue::from_str(&who)?,
    };
    let greeter = Arc::new(greeter);
    let router = Router::new()
        .route("/greeting", get(greet))
        .route("/status", get(async || "ok\n"))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&greeter),
            say_who,
        ))
        .with_state(greeter);
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, router)
        .with_graceful_shutdown(told_to_stop())
        .await?;
    Ok(())
}

async fn greet(
    State(greeter): State<Arc<Greeter>>,
    Query(Whom { name }): Query<Whom>,
) -> Json<Greeting> {
    let id = greeter.greeted.fetch_add(1, Ordering::Relaxed) + 1;
    Json(Greeting {
        id,
        content: format!("{}, {name}!", greeter.greeting),
    })
}

async fn say_who(State(greeter): State<Arc<Greeter>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert("x-platform-app", greeter.who.clone());
    response
}

async fn told_to_stop() {
    if let Ok(mut terminate) = signal(SignalKind::terminate()) {
        terminate.recv().await;
    }
}
