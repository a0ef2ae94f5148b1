//! The frame of every page, and the error page.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, html};
use repository_api::AppName;

use super::assets;
use super::visit::Visit;
use crate::http::failure::Failure;
use crate::http::response::{HTML, respond};

/// Allows content from this server only. Forbids inline scripts, inline styles and framing.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Versions,
    Releases,
    Config,
}

const TABS: [(Tab, &str, &str); 4] = [
    (Tab::Overview, "Overview", ""),
    (Tab::Versions, "Versions", "/versions"),
    (Tab::Releases, "Releases", "/releases"),
    (Tab::Config, "Config", "/config"),
];

/// A page of `app`.
pub(super) fn of_app(
    visit: &Visit,
    app: &AppName,
    tab: Tab,
    title: &str,
    main: &Markup,
) -> Response {
    let head = html! {
        nav.path aria-label="Breadcrumb" {
            a href="/" { "Apps" }
            span aria-hidden="true" { "/" }
            a href={ "/apps/" (app) } { (app) }
        }
        h1 { (title) }
        nav.tabs aria-label={ "Pages of " (app) } {
            @for (each, name, path) in TABS {
                a href={ "/apps/" (app) (path) } aria-current=[(each == tab).then_some("page")] { (name) }
            }
        }
    };
    let events = format!("/events?app={app}");
    show(
        visit,
        &format!("{title} · {app}"),
        Some(&events),
        &head,
        main,
    )
}

/// A page that belongs to no app.
pub(super) fn show(
    visit: &Visit,
    title: &str,
    events: Option<&str>,
    head: &Markup,
    main: &Markup,
) -> Response {
    let bar = html! {
        span.host { (visit.base) }
        span #live role="status" hidden { "live" }
        @if let Some(identity) = &visit.identity {
            @if identity.is_anonymous() {
                a.sign href="/sign-in" { "Sign in" }
            } @else {
                form.sign method="post" action="/sign-out" {
                    span { (identity.name) }
                    button.quiet type="submit" { "Sign out" }
                }
            }
        }
    };
    frame(StatusCode::OK, title, events, &bar, head, main)
}

fn frame(
    status: StatusCode,
    title: &str,
    events: Option<&str>,
    bar: &Markup,
    head: &Markup,
    main: &Markup,
) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · repository" }
                link rel="icon" href=(assets::path("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::path("console.css"));
                script src=(assets::path("console.js")) defer {}
            }
            body data-events=[events] {
                a.skip href="#main" { "Skip to content" }
                header.bar {
                    a.mark href="/" { img src=(assets::path("icon.svg")) alt="" width="22" height="22"; "repository" }
                    (bar)
                }
                div.head { (head) }
                main #main tabindex="-1" { (main) }
                footer {
                    a href="/metrics" { "Metrics" }
                    a href="/readyz" { "Readiness" }
                    a href="/openapi.json" { "API" }
                }
            }
        }
    };
    framed(respond(status, HTML, markup.into_string()))
}

fn framed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-store"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Cookie"));
    response
}

/// A failure, shown as a page.
#[derive(Debug)]
pub(crate) struct ErrorPage(Failure);

impl<T: Into<Failure>> From<T> for ErrorPage {
    fn from(failure: T) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for ErrorPage {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        let status = failure.status;
        let name = status.canonical_reason().unwrap_or("Error");
        let main = html! {
            p.notice.bad role="alert" { (failure.detail) }
            p { a href="/" { "All apps" } " · " a href="/sign-in" { "Sign in with another token" } }
        };
        let mut response = frame(
            status,
            name,
            None,
            &html! {},
            &html! { h1 { (name) } },
            &main,
        );
        if status == StatusCode::UNAUTHORIZED {
            // With Basic, the browser would open its own password dialog.
            let challenge = HeaderValue::from_static("Bearer realm=\"repository\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
