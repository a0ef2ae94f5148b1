//! The frame of every page, and the page for what went wrong.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, html};
use repository_api::AppName;

use super::assets;
use super::visit::Visit;
use crate::http::answer::{HTML, answer};
use crate::http::failure::Failure;

/// Nothing but what this server sends, no script and no style in a page itself, and no other page around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Which part of an app a page shows.
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
        nav.path aria-label="Where this is" {
            a href="/" { "Apps" }
            span aria-hidden="true" { "/" }
            a href={ "/apps/" (app) } { (app) }
        }
        h1 { (title) }
        nav.tabs aria-label={ "Of " (app) } {
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

/// A page of nobody's.
pub(super) fn show(
    visit: &Visit,
    title: &str,
    events: Option<&str>,
    head: &Markup,
    main: &Markup,
) -> Response {
    let who = visit.who.as_ref();
    let bar = html! {
        span.host { (visit.base) }
        span #live role="status" hidden { "live" }
        @if let Some(who) = who {
            @if who.is_anonymous() {
                a.sign href="/sign-in" { "Sign in" }
            } @else {
                form.sign method="post" action="/sign-out" {
                    span { (who.name) }
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
    framed(answer(status, HTML, markup.into_string()))
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

/// What goes wrong on a page, said on a page.
#[derive(Debug)]
pub(crate) struct Trouble(Failure);

impl<T: Into<Failure>> From<T> for Trouble {
    fn from(failure: T) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        let status = failure.status;
        let name = status.canonical_reason().unwrap_or("Trouble");
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
            // Not Basic: the browser would ask in a window of its own.
            let challenge = HeaderValue::from_static("Bearer realm=\"repository\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
