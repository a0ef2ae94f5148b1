//! `hello-world`: answers a greeting over HTTP, and names its release in `X-Platform-App`.

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
    count: AtomicU64,
    /// App, release and host name, for `X-Platform-App`.
    identity: HeaderValue,
}

#[derive(Deserialize)]
struct Parameters {
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
    let identity = format!(
        "{} {release} {}",
        variable("PLATFORM_APP", "hello-world"),
        variable("HOSTNAME", "localhost")
    );
    let greeter = Greeter {
        greeting: variable("GREETING", "Hello"),
        count: AtomicU64::new(0),
        identity: HeaderValue::from_str(&identity)?,
    };
    let greeter = Arc::new(greeter);
    let router = Router::new()
        .route("/greeting", get(greet))
        .route("/status", get(async || "ok\n"))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&greeter),
            add_identity,
        ))
        .with_state(greeter);
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, router)
        .with_graceful_shutdown(terminated())
        .await?;
    Ok(())
}

async fn greet(
    State(greeter): State<Arc<Greeter>>,
    Query(Parameters { name }): Query<Parameters>,
) -> Json<Greeting> {
    let id = greeter.count.fetch_add(1, Ordering::Relaxed) + 1;
    Json(Greeting {
        id,
        content: format!("{}, {name}!", greeter.greeting),
    })
}

async fn add_identity(
    State(greeter): State<Arc<Greeter>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert("x-platform-app", greeter.identity.clone());
    response
}

async fn terminated() {
    if let Ok(mut terminate) = signal(SignalKind::terminate()) {
        terminate.recv().await;
    }
}
