//! Elements that several pages share.

use maud::{Markup, html};
use repository_api::{AppName, Digest, VersionName};

/// Characters of a shortened digest. The title holds the full one.
const SHORT_DIGEST: usize = 12;

pub(super) fn digest(digest: &Digest) -> Markup {
    let text = digest.to_string();
    html! { code.digest title={ "sha256:" (text) } { (text[..SHORT_DIGEST]) } }
}

/// The script replaces the text with a relative time, such as "3 hours ago".
pub(super) fn time(timestamp: &str) -> Markup {
    let shown = timestamp.get(..16).unwrap_or(timestamp).replace('T', " ");
    html! { time datetime=(timestamp) title=(timestamp) { (shown) } }
}

/// Time and author of a change.
pub(super) fn attribution(timestamp: &str, by: &str) -> Markup {
    html! { span.done { (time(timestamp)) " by " span.who { (by) } } }
}

pub(super) fn release(app: &AppName, number: u64) -> Markup {
    html! { a.release href={ "/apps/" (app) "/releases/r" (number) } { "r" (number) } }
}

pub(super) fn version(version: &VersionName) -> Markup {
    html! { span.version { (version) } }
}

/// A command. The script adds a button that copies it.
pub(super) fn command(caption: &str, text: &str) -> Markup {
    html! {
        figure.command {
            figcaption { (caption) }
            pre tabindex="0" { code { (text) } }
        }
    }
}

/// A placeholder that names the next step.
pub(super) fn empty(text: &str) -> Markup {
    html! { p.empty { (text) } }
}

/// A link to the next page of a list.
pub(super) fn next_page(href: Option<&str>) -> Markup {
    html! {
        @if let Some(href) = href {
            nav.pages aria-label="Pages" { a rel="next" href=(href) { "Older" } }
        }
    }
}
