//! `/apps/{app}/channels/{channel}`: where a channel was, and what moving it would change, before it is moved.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use repository_api::release::Statement;
use repository_api::{AppName, ChannelName, Reference, ReleaseNumber};

use super::Shown;
use super::differences;
use super::elements::{command, done, empty, next_page, release};
use super::form::{Form, see_other};
use super::page::{self, Tab};
use super::visit::Visit;
use crate::domain::catalogue::Catalogue;
use crate::domain::error::Error;
use crate::domain::precondition::Precondition;
use crate::domain::promote::{KeyFile, Target, promote};
use crate::domain::state::app::{AppState, MoveRecord};
use crate::domain::{differences as between, releases};
use crate::http::extract::{Names, Write};
use crate::http::failure::Failure;

/// Moves on a page.
const LIMIT: usize = 100;

/// From a form that names channel and target to the page that shows the change.
pub(super) async fn chosen(
    name: Result<Names<AppName>, Failure>,
    visit: Visit,
) -> Result<Response, page::Trouble> {
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
    /// The number of its newest move, and that one.
    now: Option<(u64, MoveRecord)>,
    history: Vec<(u64, MoveRecord)>,
    /// The move behind which earlier ones follow.
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
            now: state
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
) -> Shown {
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
    trouble: Option<&Failure>,
) -> Shown {
    let entry = catalogue.known(app).await?;
    let before = visit.parameter("before");
    let before = before
        .and_then(|text| text.parse().ok())
        .unwrap_or(u64::MAX);
    let found = entry.read(|state| Channel::of(state, channel, before));
    if found.now.is_none() && to.is_none() {
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
        @if let Some(trouble) = trouble { p.notice.bad role="alert" { (trouble.detail) } }
        @if visit.parameter("done").is_some() && let Some((_, now)) = &found.now {
            p.notice.good role="status" { (channel) " points at r" (now.release) " now." }
        }
        p.lead {
            @match &found.now {
                Some((_, now)) => { "It points at " (release(app, now.release)) ", moved " (done(&now.created, &now.by)) "." }
                None => "It does not exist yet.",
            }
            @if found.takes_signed_only { " It takes signed releases only." }
        }
        @if let (Some(to), Some(change)) = (&to, &change) {
            (sheet(visit, app, channel, &found, to, change))
        }
        section aria-labelledby="history" {
            h2 #history { "History" }
            (history(visit, app, channel, &found))
            (next_page(found.earlier.map(|before| format!("/apps/{app}/channels/{channel}?before={before}#history")).as_deref()))
        }
        (command("The same in a terminal", &format!(
            "echo {} | curl --fail-with-body{user} -T - {base}/channels/{app}/{channel}",
            to.as_deref().unwrap_or("VERSION")
        )))
        (command("Follow it", &format!("curl -N{user} '{base}/events?app={app}'")))
    };
    Ok(page::of_app(
        visit,
        app,
        Tab::Overview,
        channel.as_str(),
        &main,
    ))
}

/// What would be different.
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
            p.notice.careful { "This channel takes signed releases only, and " (to) " is not signed: it will be refused." }
        }
    };
    let Some((_, now)) = &channel.now else {
        return Ok(html! { (unsigned) p { "It will be a new channel." } });
    };
    let Some(number) = ReleaseNumber::new(now.release) else {
        return Ok(unsigned);
    };
    let current: Statement = between::statement(catalogue, app, number).await?;
    let shown = (number.to_string(), to.to_owned());
    let found = between::between(catalogue, app, (&current, &wanted.statement), shown).await?;
    Ok(html! { (unsigned) (differences::show(&found)) })
}

/// What will change, and the button for it.
fn sheet(
    visit: &Visit,
    app: &AppName,
    channel: &ChannelName,
    found: &Channel,
    to: &str,
    change: &Markup,
) -> Markup {
    let moved = found.now.as_ref().map(|(number, _)| *number);
    html! {
        section.sheet aria-labelledby="change" {
            h2 #change { "Point " (channel) " at " (to) }
            (change)
            @if visit.may_move(app, channel) {
                form method="post" action={ "/apps/" (app) "/channels/" (channel) } {
                    input type="hidden" name="to" value=(to);
                    input type="hidden" name="moved" value=[moved];
                    button type="submit" { "Point " (channel) " at " (to) }
                    a.button.quiet href={ "/apps/" (app) } { "Leave it" }
                }
            } @else {
                (empty("Your token does not cover this channel: ask for one with its release scope."))
            }
        }
    }
}

fn history(visit: &Visit, app: &AppName, channel: &ChannelName, found: &Channel) -> Markup {
    let now = found.now.as_ref().map(|(_, moved)| moved.release);
    html! {
        @if found.history.is_empty() { (empty("Nothing yet.")) } @else {
            table {
                thead { tr {
                    th scope="col" { "To" }
                    th scope="col" { "From" }
                    th scope="col" { "Moved" }
                    th scope="col" { span.hidden { "What can be done" } }
                } }
                tbody {
                    @for (_, moved) in &found.history {
                        tr {
                            th scope="row" { (release(app, moved.release)) }
                            td data-label="From" {
                                @match moved.from { Some(from) => (release(app, from)), None => span.none { "new" } }
                            }
                            td data-label="Moved" { (done(&moved.created, &moved.by)) }
                            td.actions {
                                @if let Some(from) = moved.from {
                                    a href={ "/apps/" (app) "/releases/r" (from) "...r" (moved.release) } { "What changed" }
                                }
                                @if now != Some(moved.release) && visit.may_move(app, channel) {
                                    a.button.quiet href={ "/apps/" (app) "/channels/" (channel) "?to=r" (moved.release) } {
                                        "Back to r" (moved.release)
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
) -> Shown {
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
    // The right to move a channel does not include the right to read the app.
    if !visit.may_read(&app) {
        return Err(failure.into());
    }
    let mut response = show(&catalogue, &visit, &app, &channel, Some(to), Some(&failure)).await?;
    *response.status_mut() = failure.status;
    Ok(response)
}
