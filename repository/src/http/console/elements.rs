//! What pages are made of.

use maud::{Markup, html};
use repository_api::{AppName, Digest, VersionName};

/// So much of a digest as tells it from others at a glance; all of it is in the title.
const SHORT: usize = 12;

pub(super) fn digest(digest: &Digest) -> Markup {
    let text = digest.to_string();
    html! { code.digest title={ "sha256:" (text) } { (text[..SHORT]) } }
}

/// The script makes "3 hours ago" of it.
pub(super) fn time(timestamp: &str) -> Markup {
    let shown = timestamp.get(..16).unwrap_or(timestamp).replace('T', " ");
    html! { time datetime=(timestamp) title=(timestamp) { (shown) } }
}

/// When, and who.
pub(super) fn done(timestamp: &str, by: &str) -> Markup {
    html! { span.done { (time(timestamp)) " by " span.who { (by) } } }
}

pub(super) fn release(app: &AppName, number: u64) -> Markup {
    html! { a.release href={ "/apps/" (app) "/releases/r" (number) } { "r" (number) } }
}

pub(super) fn version(version: &VersionName) -> Markup {
    html! { span.version { (version) } }
}

/// A command to copy: the script puts a button beside it.
pub(super) fn command(what: &str, text: &str) -> Markup {
    html! {
        figure.command {
            figcaption { (what) }
            pre tabindex="0" { code { (text) } }
        }
    }
}

/// Where there is nothing yet: what to do.
pub(super) fn empty(text: &str) -> Markup {
    html! { p.empty { (text) } }
}

/// A link to what follows.
pub(super) fn next_page(href: Option<&str>) -> Markup {
    html! {
        @if let Some(href) = href {
            nav.pages aria-label="Pages" { a rel="next" href=(href) { "Older" } }
        }
    }
}
