//! `/apps/{app}/channels/{channel}`: the history of a channel, and the preview of a promotion.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use repository_api::release::Statement;
use repository_api::{AppName, ChannelName, Reference, ReleaseNumber};

use super::PageResult;
use super::differences;
use super::elements::{attribution, command, empty, next_page, release};
use super::form::{Form, see_other};
use super::page::{self, Tab};
use super::visit::Visit;
use crate::domain::catalogue::Catalogue;
use crate::domain::error::Error;
use crate::domain::precondition::Precondition;
use crate::domain::promote::{KeyFile, Target, promote};
use crate::domain::state::app::{AppState, MoveRecord};
use crate::domain::{differences as comparison, releases};
use crate::http::extract::{Names, Write};
use crate::http::failure::Failure;

/// Maximum promotions on a page.
const LIMIT: usize = 100;

/// Redirects from the promotion form to the preview.
pub(super) async fn redirect_to_preview(
    name: Result<Names<AppName>, Failure>,
    visit: Visit,
) -> Result<Response, page::ErrorPage> {
    let Names(app) = name?;
    let channel: ChannelName = visit
        .parameter("channel")
        .unwrap_or_default()
        .parse()
        .map_err(Error::InvalidName)?;
    let to = visit.parameter("to").unwrap_or_default();
    let to: String = form_urlencoded::byte_serialize(to.trim().as_bytes()).collect();
    Ok(see_other(&format!(
        "/apps/{app}/channels/{channel}?to={to}"
    )))
}

struct Channel {
    /// The newest move and its number.
    current: Option<(u64, MoveRecord)>,
    history: Vec<(u64, MoveRecord)>,
    /// The last move on this page, if older ones follow.
    earlier: Option<u64>,
    takes_signed_only: bool,
}

impl Channel {
    fn of(state: &AppState, channel: &ChannelName, before: u64) -> Self {
        let moves = state.channels.get(channel).into_iter();
        let mut history: Vec<(u64, MoveRecord)> = moves
            .flat_map(|moves| moves.range(..before).rev().take(LIMIT + 1))
            .map(|(number, moved)| (*number, moved.clone()))
            .collect();
        let earlier = (history.len() > LIMIT).then(|| {
            history.truncate(LIMIT);
            history.last().map_or(1, |(number, _)| *number)
        });
        Self {
            current: state
                .channel(channel)
                .map(|(number, moved)| (number, moved.clone())),
            history,
            earlier,
            takes_signed_only: state.signed_only.contains(channel),
        }
    }
}

type Path = Names<(AppName, ChannelName)>;

pub(super) async fn get(
    State(catalogue): State<Arc<Catalogue>>,
    path: Result<Path, Failure>,
    visit: Visit,
) -> PageResult {
    let Names((app, channel)) = path?;
    show(
        &catalogue,
        &visit,
        &app,
        &channel,
        visit.parameter("to"),
        None,
    )
    .await
}

async fn show(
    catalogue: &Catalogue,
    visit: &Visit,
    app: &AppName,
    channel: &ChannelName,
    to: Option<String>,
    failure: Option<&Failure>,
) -> PageResult {
    let entry = catalogue.known(app).await?;
    let before = visit.parameter("before");
    let before = before
        .and_then(|text| text.parse().ok())
        .unwrap_or(u64::MAX);
    let found = entry.read(|state| Channel::of(state, channel, before));
    if found.current.is_none() && to.is_none() {
        let error = entry.read(|state| state.unknown_channel(app, channel));
        return Err(error.into());
    }
    let change = match &to {
        None => None,
        Some(to) => Some(preview(catalogue, app, &found, to).await?),
    };
    let user = visit.credentials();
    let base = &visit.base;
    let main = html! {
        @if let Some(failure) = failure { p.notice.bad role="alert" { (failure.detail) } }
        @if visit.parameter("done").is_some() && let Some((_, now)) = &found.current {
            p.notice.good role="status" { "Promoted: " (channel) " now points at r" (now.release) "." }
        }
        p.lead {
            @match &found.current {
                Some((_, now)) => { "This channel points at " (release(app, now.release)) ", promoted " (attribution(&now.created, &now.by)) "." }
                None => "This channel does not exist yet.",
            }
            @if found.takes_signed_only { " The channel accepts only signed releases." }
        }
        @if let (Some(to), Some(change)) = (&to, &change) {
            (promotion_form(visit, app, channel, &found, to, change))
        }
        section aria-labelledby="history" {
            h2 #history { "History" }
            (history(visit, app, channel, &found))
            (next_page(found.earlier.map(|before| format!("/apps/{app}/channels/{channel}?before={before}#history")).as_deref()))
        }
        (command("Promote from a terminal", &format!(
            "echo {} | curl --fail-with-body{user} -T - {base}/channels/{app}/{channel}",
            to.as_deref().unwrap_or("VERSION")
        )))
        (command("Follow events of this app", &format!("curl -N{user} '{base}/events?app={app}'")))
    };
    Ok(page::of_app(
        visit,
        app,
        Tab::Overview,
        channel.as_str(),
        &main,
    ))
}

/// What the promotion would change.
async fn preview(
    catalogue: &Catalogue,
    app: &AppName,
    channel: &Channel,
    to: &str,
) -> Result<Markup, Failure> {
    let reference: Reference = match to.trim().parse()? {
        Target::Version(version) => Reference::Version(version),
        Target::Release(number) => Reference::Release(number),
    };
    let wanted = releases::resolve(catalogue, app, &reference).await?;
    let unsigned = html! {
        @if channel.takes_signed_only && wanted.minisig.is_none() {
            p.notice.careful { "This channel accepts only signed releases, and " (to) " is not signed. The promotion will be refused." }
        }
    };
    let Some((_, now)) = &channel.current else {
        return Ok(html! { (unsigned) p { "This creates a new channel." } });
    };
    let Some(number) = ReleaseNumber::new(now.release) else {
        return Ok(unsigned);
    };
    let current: Statement = comparison::statement(catalogue, app, number).await?;
    let shown = (number.to_string(), to.to_owned());
    let found = comparison::between(catalogue, app, (&current, &wanted.statement), shown).await?;
    Ok(html! { (unsigned) (differences::show(&found)) })
}

/// The preview, and the button that confirms it.
fn promotion_form(
    visit: &Visit,
    app: &AppName,
    channel: &ChannelName,
    found: &Channel,
    to: &str,
    change: &Markup,
) -> Markup {
    let moved = found.current.as_ref().map(|(number, _)| *number);
    html! {
        section.sheet aria-labelledby="change" {
            h2 #change { "Promote " (to) " to " (channel) }
            (change)
            @if visit.may_move(app, channel) {
                form method="post" action={ "/apps/" (app) "/channels/" (channel) } {
                    input type="hidden" name="to" value=(to);
                    input type="hidden" name="moved" value=[moved];
                    button type="submit" { "Promote " (to) " to " (channel) }
                    a.button.quiet href={ "/apps/" (app) } { "Cancel" }
                }
            } @else {
                (empty(&format!("Your token does not allow promotions to this channel. Ask your administrator for a token with the scope release:{app}/{channel}.")))
            }
        }
    }
}

fn history(visit: &Visit, app: &AppName, channel: &ChannelName, found: &Channel) -> Markup {
    let now = found.current.as_ref().map(|(_, moved)| moved.release);
    html! {
        @if found.history.is_empty() { (empty("No promotions yet.")) } @else {
            table {
                thead { tr {
                    th scope="col" { "Release" }
                    th scope="col" { "Previous" }
                    th scope="col" { "Promoted" }
                    th scope="col" { span.hidden { "Actions" } }
                } }
                tbody {
                    @for (_, moved) in &found.history {
                        tr {
                            th scope="row" { (release(app, moved.release)) }
                            td data-label="Previous" {
                                @match moved.from { Some(from) => (release(app, from)), None => span.none { "new" } }
                            }
                            td data-label="Promoted" { (attribution(&moved.created, &moved.by)) }
                            td.actions {
                                @if let Some(from) = moved.from {
                                    a href={ "/apps/" (app) "/releases/r" (from) "...r" (moved.release) } { "Compare" }
                                }
                                @if now != Some(moved.release) && visit.may_move(app, channel) {
                                    a.button.quiet href={ "/apps/" (app) "/channels/" (channel) "?to=r" (moved.release) } {
                                        "Roll back to r" (moved.release)
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) async fn post(
    State(catalogue): State<Arc<Catalogue>>,
    State(key_file): State<KeyFile>,
    path: Result<Path, Failure>,
    visit: Visit,
    request: Write,
) -> PageResult {
    let visit = visit.without_query();
    let Names((app, channel)) = path?;
    let by = request.by.clone();
    let sent = Form::read(request, 4096).await?;
    let to = sent.field("to").to_owned();
    let target: Target = to.trim().parse()?;
    let seen: Option<u64> = sent.field("moved").parse().ok();
    let precondition = Precondition::new(move |current| current == seen);
    let path = (app.clone(), channel.clone());
    let outcome = promote(&catalogue, &key_file, path, precondition, target, by).await;
    let Err(error) = outcome else {
        return Ok(see_other(&format!("/apps/{app}/channels/{channel}?done=1")));
    };
    let failure = Failure::from(error);
    // A release scope does not include permission to read the app.
    if !visit.may_read(&app) {
        return Err(failure.into());
    }
    let mut response = show(&catalogue, &visit, &app, &channel, Some(to), Some(&failure)).await?;
    *response.status_mut() = failure.status;
    Ok(response)
}
