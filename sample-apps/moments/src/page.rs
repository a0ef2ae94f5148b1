//! The page, and the pieces of it that windows are sent: everything that is shown is written here, where
//! everything is escaped.

use axum::response::Html;
use maud::{DOCTYPE, Markup, html};
use serde_json::json;

use crate::app::App;
use crate::assets;
use crate::handlers::limits;
use crate::wall::{Comment, Event, Id, Moment, What};

/// Nothing but what this app sends, no script and no style in the page itself, and no other page around it.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Pictures on the wall.
const SHOWN: usize = 60;

const TYPES: &str = "image/png,image/jpeg,image/gif,image/webp";

pub(crate) fn show(app: &App) -> Html<String> {
    let waiting = app.services.waiting();
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
            body data-after=(last) data-comments=(app.settings.comments_shown) data-most=(limits::PICTURE) {
                a.skip href="#wall" { "Skip to the wall" }
                header {
                    h1 { "Moments" }
                    p #state role="status" data-is=(if waiting.is_some() { "waiting" } else { "static" }) {
                        @if let Some(reason) = &waiting { "Waiting for " (reason) }
                    }
                }
                noscript { p.notice { "To see what happens, and to take part, a browser has to run the script of this page." } }
                form #share {
                    h2 { "Share a moment" }
                    div.field {
                        label for="name" { "Your name" }
                        input #name name="name" maxlength=(limits::NAME) autocomplete="nickname" placeholder="Somebody";
                    }
                    div.field {
                        label for="caption" { "What is to be seen" }
                        input #caption name="caption" maxlength=(limits::CAPTION) autocomplete="off";
                    }
                    div.field {
                        label for="picture" { "Picture, " (limits::PICTURE >> 20) " MiB at the most" }
                        input #picture name="picture" type="file" accept=(TYPES) required;
                    }
                    button type="submit" { "Share" }
                    output for="picture" {}
                }
                main #wall tabindex="-1" aria-label="The wall" { (wall) }
                p #told.hidden role="status" {}
                footer {
                    span { "This page is from " code { (app.settings.who.to_str().unwrap_or_default()) } }
                    a href="/parameters" { "Parameters" }
                    a href="/status" { "Status" }
                }
            }
        }
    };
    Html(markup.into_string())
}

/// The wall, and the last event that is in it.
fn wall(app: &App) -> (Markup, Id) {
    let log = app.hub.log();
    let moments = log.moments(SHOWN, app.settings.comments_shown);
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
            form.say data-picture=(id) {
                label.hidden for={ "t-" (id) } { "Comment" }
                input id={ "t-" (id) } name="text" required maxlength=(limits::TEXT) autocomplete="off" placeholder="Say something";
                button type="submit" { "Send" }
                output for={ "t-" (id) } {}
            }
        }
    }
}

fn comment(comment: Comment<'_>) -> Markup {
    let name = if comment.name.is_empty() {
        "Somebody"
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

/// For a window: whether the app waits, and for what.
pub(crate) fn state(waiting: Option<&str>) -> String {
    json!({ "kind": "state", "waiting": waiting }).to_string()
}

/// For a window: one more picture or comment.
pub(crate) fn news(event: &Event) -> String {
    let id = event.id;
    let (kind, picture, said, html) = match &event.what {
        What::Picture { picture, caption } => {
            let new = Moment {
                id,
                picture,
                caption,
                comments: [].into(),
            };
            ("picture", picture, caption, moment(&new))
        }
        What::Comment {
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
    json!({ "kind": kind, "id": id.to_string(), "picture": picture, "said": said, "html": html.into_string() })
        .to_string()
}

/// For a window of which nobody knows what it missed: the whole wall.
pub(crate) fn everything(app: &App) -> String {
    let (wall, last) = wall(app);
    json!({ "kind": "everything", "id": last.to_string(), "html": wall.into_string() }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_said_is_text() {
        let event = |what| Event {
            id: Id::default(),
            what,
        };
        let evil = "<script>alert('x')</script>\"'&";
        for what in [
            What::Picture {
                picture: "a.png".into(),
                caption: evil.into(),
            },
            What::Comment {
                picture: "a.png".into(),
                name: evil.into(),
                text: evil.into(),
            },
        ] {
            let told: serde_json::Value = serde_json::from_str(&news(&event(what))).unwrap();
            let html = told["html"].as_str().unwrap();
            assert!(!html.contains("<script"), "{html}");
            assert!(html.contains("&lt;script&gt;"), "{html}");
            assert!(!html.contains("\"'"), "{html}");
        }
    }

    #[test]
    fn times_are_for_machines_until_a_script_reads_them() {
        let id: Id = "1700000000123-0".parse().unwrap();
        assert!(time(id).into_string().contains("2023-11-14T22:13:20Z"));
    }
}
