//! The page, and the messages for its script. All HTML is rendered here, where it is escaped.

use axum::response::Html;
use maud::{DOCTYPE, Markup, html};
use serde_json::json;

use crate::app::App;
use crate::assets;
use crate::limits;
use crate::wall::{Comment, Content, Event, Id, Moment};

/// Allows only files of this app: no inline scripts or styles, and no embedding in other pages.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Pictures on the wall.
const PICTURES_SHOWN: usize = 60;

const TYPES: &str = "image/png,image/jpeg,image/gif,image/webp";

pub(crate) fn render(app: &App) -> Html<String> {
    let waiting = app.services.waiting_for();
    let (wall, last) = wall(app);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Moments" }
                link rel="icon" href=(assets::path("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::path("moments.css"));
                script src=(assets::path("moments.js")) defer {}
            }
            body data-after=(last) data-comments=(app.settings.comments_shown) data-picture-bytes=(limits::PICTURE_BYTES) {
                a.skip href="#wall" { "Skip to the wall" }
                header {
                    h1 { "Moments" }
                    p #state role="status" data-state=(if waiting.is_some() { "waiting" } else { "static" }) {
                        @if let Some(reason) = &waiting { "Waiting for " (reason) }
                    }
                }
                noscript { p.notice { "This page needs JavaScript to show new moments and to share your own." } }
                form #share {
                    h2 { "Share a moment" }
                    div.field {
                        label for="name" { "Your name" }
                        input #name name="name" maxlength=(limits::NAME_CHARACTERS) autocomplete="nickname" placeholder="Anonymous";
                    }
                    div.field {
                        label for="caption" { "Caption" }
                        input #caption name="caption" maxlength=(limits::CAPTION_CHARACTERS) autocomplete="off";
                    }
                    div.field {
                        label for="picture" { "Picture, up to " (limits::PICTURE_BYTES >> 20) " MiB" }
                        input #picture name="picture" type="file" accept=(TYPES) required;
                    }
                    button type="submit" { "Share" }
                    output for="picture" {}
                }
                main #wall tabindex="-1" aria-label="The wall" { (wall) }
                p #announcement.hidden role="status" {}
                footer {
                    span { "Served by " code { (app.settings.identity.to_str().unwrap_or_default()) } }
                    a href="/parameters" { "Parameters" }
                    a href="/status" { "Status" }
                }
            }
        }
    };
    Html(markup.into_string())
}

/// Returns the wall and the id of its last event.
fn wall(app: &App) -> (Markup, Id) {
    let log = app.hub.log();
    let moments = log.moments(PICTURES_SHOWN, app.settings.comments_shown);
    let markup = html! {
        @for each in &moments { (moment(each)) }
        p.empty { "Nothing has been shared yet." }
    };
    (markup, log.last())
}

fn moment(moment: &Moment<'_>) -> Markup {
    let id = moment.picture;
    let address = format!("/pictures/{id}");
    let caption = if moment.caption.is_empty() {
        "A moment"
    } else {
        moment.caption
    };
    html! {
        article id={ "m-" (id) } aria-labelledby={ "h-" (id) } {
            a.picture href=(address) { img src=(address) alt=(caption) loading="lazy" decoding="async"; }
            h2 id={ "h-" (id) } { (caption) }
            p.when { (time(moment.id)) }
            ol.comments { @for each in &moment.comments { (comment(*each)) } }
            form.add-comment data-picture=(id) {
                label.hidden for={ "t-" (id) } { "Comment" }
                input id={ "t-" (id) } name="text" required maxlength=(limits::COMMENT_CHARACTERS) autocomplete="off" placeholder="Add a comment";
                button type="submit" { "Send" }
                output for={ "t-" (id) } {}
            }
        }
    }
}

fn comment(comment: Comment<'_>) -> Markup {
    let name = if comment.name.is_empty() {
        "Anonymous"
    } else {
        comment.name
    };
    html! {
        li id={ "c-" (comment.id) } {
            b { (name) } " "
            span.text { (comment.text) } " "
            (time(comment.id))
        }
    }
}

fn time(id: Id) -> Markup {
    let text = humantime::format_rfc3339_seconds(id.time()).to_string();
    html! { time datetime=(text) { (text) } }
}

/// Message for a window: which services the app is waiting for, if any.
pub(crate) fn state(waiting: Option<&str>) -> String {
    json!({ "kind": "state", "waiting": waiting }).to_string()
}

/// Message for a window: a new picture or comment.
pub(crate) fn event(event: &Event) -> String {
    let id = event.id;
    let (kind, picture, text, html) = match &event.content {
        Content::Picture { picture, caption } => {
            let new = Moment {
                id,
                picture,
                caption,
                comments: [].into(),
            };
            ("picture", picture, caption, moment(&new))
        }
        Content::Comment {
            picture,
            name,
            text,
        } => (
            "comment",
            picture,
            text,
            comment(Comment { id, name, text }),
        ),
    };
    json!({ "kind": kind, "id": id.to_string(), "picture": picture, "text": text, "html": html.into_string() })
        .to_string()
}

/// Message for a window whose missed events are unknown: the whole wall.
pub(crate) fn snapshot(app: &App) -> String {
    let (wall, last) = wall(app);
    json!({ "kind": "snapshot", "id": last.to_string(), "html": wall.into_string() }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_users_are_escaped() {
        let with = |content| Event {
            id: Id::default(),
            content,
        };
        let markup = "<script>alert('x')</script>\"'&";
        for content in [
            Content::Picture {
                picture: "a.png".into(),
                caption: markup.into(),
            },
            Content::Comment {
                picture: "a.png".into(),
                name: markup.into(),
                text: markup.into(),
            },
        ] {
            let message: serde_json::Value = serde_json::from_str(&event(&with(content))).unwrap();
            let html = message["html"].as_str().unwrap();
            assert!(!html.contains("<script"), "{html}");
            assert!(html.contains("&lt;script&gt;"), "{html}");
            assert!(!html.contains("\"'"), "{html}");
        }
    }

    #[test]
    fn times_are_rendered_in_rfc_3339() {
        let id: Id = "1700000000123-0".parse().unwrap();
        assert!(time(id).into_string().contains("2023-11-14T22:13:20Z"));
    }
}
