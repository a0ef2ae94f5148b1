//! The differences between two releases.

use maud::{Markup, html};

use super::elements::digest;
use crate::domain::differences::{Differences, FileChange, LayerChange};

pub(super) fn show(found: &Differences) -> Markup {
    html! {
        @if found.is_empty() {
            p.empty { (found.from) " and " (found.to) " are identical." }
        } @else {
            dl.changes {
                @if let Some([from, to]) = &found.version {
                    dt { "Version" }
                    dd { del { (from) } " → " ins { (to) } }
                }
                @for change in &found.files {
                    dt { (change.file) }
                    dd { (file(change)) }
                }
                @for change in &found.config {
                    dt { "Config " (change.layer) }
                    dd { (layer(change)) }
                }
            }
        }
    }
}

fn file(change: &FileChange) -> Markup {
    html! {
        @match (&change.from, &change.to) {
            (Some(from), Some(to)) => { del { (digest(from)) } " → " ins { (digest(to)) } }
            (None, Some(to)) => { "added " ins { (digest(to)) } }
            (Some(from), None) => { "removed " del { (digest(from)) } }
            (None, None) => {}
        }
    }
}

fn layer(change: &LayerChange) -> Markup {
    let generation =
        |number: Option<u64>| number.map_or("none".to_owned(), |number| format!("g{number}"));
    let lists = [
        ("added", &change.added),
        ("changed", &change.changed),
        ("removed", &change.removed),
    ];
    html! {
        span.generations { (generation(change.from)) " → " (generation(change.to)) }
        ul.names {
            @for (kind, names) in lists {
                @for name in names { li class=(kind) { code { (name) } " " span { (kind) } } }
            }
        }
    }
}
