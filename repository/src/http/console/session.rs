//! Signing in and out. The browser holds the token in a cookie that scripts cannot read. The server stores no session, so
//! every replica accepts the cookie, and revoking a token ends its sessions everywhere.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use maud::html;

use super::form::{Form, see_other};
use super::page;
use super::visit::Visit;
use crate::http::access::{Access, Refusal, cookie};
use crate::http::extract::Write;
use crate::http::failure::Failure;
use crate::http::negotiate::{Format, preferred_format};
use crate::http::paths;

/// With Basic, the browser would open its own password dialog.
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"repository\"");

/// Maximum bytes of the sign-in form.
const MAX: usize = 8192;

pub(super) async fn page(visit: Visit) -> Response {
    let to = visit.parameter("to").filter(|to| is_local_path(to));
    sign_in_form(&visit, to.as_deref().unwrap_or("/"), None)
}

/// Whether a redirect target is a path on this server, and not `//other.example`.
fn is_local_path(to: &str) -> bool {
    to.starts_with('/')
        && !to.starts_with("//")
        && to
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

fn sign_in_form(visit: &Visit, to: &str, error: Option<&str>) -> Response {
    let main = html! {
        @if let Some(error) = error {
            p.notice.bad role="alert" { (error) }
        }
        form.sheet method="post" action="/sign-in" {
            input type="hidden" name="to" value=(to);
            // Password managers need a user name.
            input type="text" name="user" value="token" autocomplete="username" hidden;
            label for="token" { "Token" }
            input #token name="token" type="password" required autocomplete="current-password" autofocus
                aria-describedby="token-hint";
            p.hint #token-hint {
                "Ask your administrator for a token. They create one with "
                code { "repository token create NAME SCOPE" }
                ". The browser stores the token until you sign out or close the browser."
            }
            button type="submit" { "Sign in" }
        }
    };
    page::show(visit, "Sign in", None, &html! { h1 { "Sign in" } }, &main)
}

pub(super) async fn sign_in(
    State(access): State<Arc<Access>>,
    visit: Visit,
    request: Write,
) -> Result<Response, Failure> {
    let sent = Form::read(request, MAX).await?;
    let to = Some(sent.field("to"))
        .filter(|to| is_local_path(to))
        .unwrap_or("/");
    let token = sent.field("token").trim();
    let refused = |status: StatusCode, detail: &str| {
        let mut response = sign_in_form(&visit, to, Some(detail));
        *response.status_mut() = status;
        response
    };
    let Some(peer) = visit.peer else {
        return Err(Failure::bad_request(
            "the client's address is unknown: sign in from another client",
        ));
    };
    if let Err(Refusal { failure, .. }) = access.identify(peer, token).await {
        return Ok(refused(failure.status, &failure.detail));
    }
    let Some(cookie) = cookie::set(token, visit.is_encrypted) else {
        let detail =
            "a browser cookie cannot hold this token: use a token made by repository token create";
        return Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, detail));
    };
    let mut response = see_other(to);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

pub(super) async fn sign_out(visit: Visit) -> Response {
    let mut response = see_other("/");
    let headers = response.headers_mut();
    headers.insert(header::SET_COOKIE, cookie::delete(visit.is_encrypted));
    // The back button must not show cached pages.
    headers.insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    response
}

/// Answers a refused request: the sign-in page or an error page for a browser, a problem document otherwise.
pub(crate) fn refusal(request: &Parts, failure: Failure) -> Response {
    let wants_page = request.method == Method::GET
        && paths::is_page(request.uri.path())
        && preferred_format(&request.headers, Format::Json) == Format::Html;
    let is_signed_in = cookie::token(&request.headers).is_some();
    if !wants_page {
        let mut response = failure.into_response();
        // A signed-in browser must not open its own password dialog.
        if is_signed_in && response.status() == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, BEARER);
        }
        return response;
    }
    if failure.status != StatusCode::UNAUTHORIZED {
        return page::ErrorPage::from(failure).into_response();
    }
    let visit = Visit::of(request);
    let to = request
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    // A first visit shows no error.
    let has_tried = is_signed_in || request.headers.contains_key(header::AUTHORIZATION);
    let mut response = sign_in_form(&visit, to, has_tried.then_some(failure.detail.as_str()));
    *response.status_mut() = failure.status;
    let headers = response.headers_mut();
    headers.insert(header::WWW_AUTHENTICATE, BEARER);
    if is_signed_in {
        headers.insert(header::SET_COOKIE, cookie::delete(visit.is_encrypted));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_on_this_server() {
        assert!(is_local_path("/") && is_local_path("/apps/hello?x=1"));
        for other in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://x",
            "/a b",
            "/a\n",
        ] {
            assert!(!is_local_path(other), "{other:?}");
        }
    }
}
