//! Signing in: the token goes into a cookie that no script can read. The server keeps nothing of it, so any
//! replica answers, and a token that is revoked is signed out everywhere.

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
use crate::http::negotiate::{Form as Wanted, form};
use crate::http::paths;

/// Not Basic: a browser would ask in a window of its own.
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"repository\"");

/// Bytes of a form with a token.
const MAX: usize = 8192;

pub(super) async fn page(visit: Visit) -> Response {
    let to = visit.parameter("to").filter(|to| is_own(to));
    ask(&visit, to.as_deref().unwrap_or("/"), None)
}

/// A path of this server, and not `//elsewhere`.
fn is_own(to: &str) -> bool {
    to.starts_with('/')
        && !to.starts_with("//")
        && to
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

fn ask(visit: &Visit, to: &str, trouble: Option<&str>) -> Response {
    let main = html! {
        @if let Some(trouble) = trouble {
            p.notice.bad role="alert" { (trouble) }
        }
        form.sheet method="post" action="/sign-in" {
            input type="hidden" name="to" value=(to);
            // For what keeps passwords: it wants to know whose this one is.
            input type="text" name="user" value="token" autocomplete="username" hidden;
            label for="token" { "Token" }
            input #token name="token" type="password" required autocomplete="current-password" autofocus
                aria-describedby="token-hint";
            p.hint #token-hint {
                "Whoever runs this repository makes one with "
                code { "repository token create NAME SCOPE" }
                ". It stays in this browser until the browser is closed."
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
        .filter(|to| is_own(to))
        .unwrap_or("/");
    let token = sent.field("token").trim();
    let refused = |status: StatusCode, detail: &str| {
        let mut response = ask(&visit, to, Some(detail));
        *response.status_mut() = status;
        response
    };
    let Some(peer) = visit.peer else {
        return Err(Failure::bad_request("nobody knows where this came from"));
    };
    if let Err(Refusal { failure, .. }) = access.holder(peer, token).await {
        return Ok(refused(failure.status, &failure.detail));
    }
    let Some(cookie) = cookie::set(token, visit.is_encrypted) else {
        let detail = "a browser cannot keep this token: use one of letters, digits and signs";
        return Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, detail));
    };
    let mut response = see_other(to);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

pub(super) async fn sign_out(visit: Visit) -> Response {
    let mut response = see_other("/");
    let headers = response.headers_mut();
    headers.insert(header::SET_COOKIE, cookie::forget(visit.is_encrypted));
    // What was shown is not shown again by going back.
    headers.insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    response
}

/// What somebody reads who may not: in a browser that asks for a page, where to sign in.
pub(crate) fn refusal(request: &Parts, failure: Failure) -> Response {
    let wants_page = request.method == Method::GET
        && paths::is_page(request.uri.path())
        && form(&request.headers, Wanted::Json) == Wanted::Html;
    let is_signed_in = cookie::token(&request.headers).is_some();
    if !wants_page {
        let mut response = failure.into_response();
        // A browser that signs in by a page is not to ask in a window of its own.
        if is_signed_in && response.status() == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, BEARER);
        }
        return response;
    }
    if failure.status != StatusCode::UNAUTHORIZED {
        return page::Trouble::from(failure).into_response();
    }
    let visit = Visit::of(request);
    let to = request
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    // Who comes for the first time has done nothing wrong.
    let has_tried = is_signed_in || request.headers.contains_key(header::AUTHORIZATION);
    let mut response = ask(&visit, to, has_tried.then_some(failure.detail.as_str()));
    *response.status_mut() = failure.status;
    let headers = response.headers_mut();
    headers.insert(header::WWW_AUTHENTICATE, BEARER);
    if is_signed_in {
        headers.insert(header::SET_COOKIE, cookie::forget(visit.is_encrypted));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server() {
        assert!(is_own("/") && is_own("/apps/hello?x=1"));
        for other in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://x",
            "/a b",
            "/a\n",
        ] {
            assert!(!is_own(other), "{other:?}");
        }
    }
}
