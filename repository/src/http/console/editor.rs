//! `/apps/{app}/config/{file}`: one layer: what it says, an editor that shows where the grammar is broken, and its
//! history with what each generation changed.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use repository_api::EnvironmentName;
use repository_api::config::{self, ConfigError};
use repository_api::release::LayerName;
use similar::{ChangeTag, TextDiff};

use super::Shown;
use super::elements::{command, digest, done, empty, next_page};
use super::form::{Form, expecting, see_other};
use super::page::{self, Tab, Trouble};
use super::visit::Visit;
use crate::Repository;
use crate::domain::catalogue::Generation;
use crate::domain::configure::{self, LayerFile, configure, etag};
use crate::domain::releases;
use crate::http::access::{Need, Who};
use crate::http::failure::Failure;
use crate::http::handlers::{JSON, Names, answer, json};
use crate::storage::keys::DEFAULT_OWNER;

/// Lines that are compared at the most, and for how long: what is left then is shown as replaced as a whole.
const MOST_LINES: usize = 20_000;
const PATIENCE: Duration = Duration::from_millis(50);

/// Generations on a page.
const LIMIT: usize = 50;

/// Bytes of a form with a config in it: each may be written as three.
const MAX: usize = 3 * config::MAX_FILE_BYTES + 4096;

/// A layer as it is.
struct Layer {
    owner: String,
    file: String,
    at: LayerFile,
    /// Newest first, with their numbers.
    history: Vec<(u64, Generation)>,
    /// The generation behind which earlier ones follow.
    earlier: Option<u64>,
    newest: Option<u64>,
}

impl Layer {
    async fn read(
        repository: &Repository,
        owner: String,
        file: String,
        before: Option<u64>,
    ) -> Result<Self, Failure> {
        let at = LayerFile::read(&owner, &file)?;
        let entry = repository.catalogue.layer_owner(&at.app, &at.layer).await?;
        if entry.is_none() {
            repository.catalogue.known(&at.app).await?;
        }
        let (newest, mut history) = entry.map_or((None, Vec::new()), |entry| {
            entry.read(|state| {
                let written = state.generations(&at.layer);
                let count = written.len() as u64;
                let numbered = (1..=count).rev().zip(written.iter().rev());
                let shown: Vec<(u64, Generation)> = numbered
                    .filter(|(number, _)| before.is_none_or(|before| *number < before))
                    .take(LIMIT + 1)
                    .map(|(number, written)| (number, written.clone()))
                    .collect();
                ((count > 0).then_some(count), shown)
            })
        });
        let earlier = (history.len() > LIMIT).then(|| {
            history.truncate(LIMIT);
            history.last().map_or(1, |(number, _)| *number)
        });
        Ok(Self {
            owner,
            file,
            at,
            history,
            earlier,
            newest,
        })
    }

    async fn content(&self, repository: &Repository, generation: u64) -> Result<String, Failure> {
        releases::layer(repository, &self.at.app, &self.at.layer, generation).await
    }

    fn path(&self) -> String {
        format!("/apps/{}/config/{}", self.owner, self.file)
    }

    /// What reading it needs.
    fn read_need(&self) -> Need {
        match self.at.layer {
            LayerName::Default => Need::ReadDefault,
            LayerName::App | LayerName::Environment(_) => Need::Read(Some(self.at.app.clone())),
        }
    }

    fn need(&self) -> Need {
        match self.at.layer {
            LayerName::Default => Need::config_of_default(),
            LayerName::App | LayerName::Environment(_) => Need::config_of(&self.at.app),
        }
    }
}

/// What somebody wrote that was not taken.
struct Draft {
    content: String,
    failure: Failure,
    error: Option<ConfigError>,
    /// The generation that the writer had seen.
    generation: Option<u64>,
    /// What that one said, and the newest one, where others wrote meanwhile.
    meanwhile: Option<(String, u64)>,
}

type Path = Names<(String, String)>;

pub(super) async fn get(
    State(repository): State<Arc<Repository>>,
    path: Result<Path, Failure>,
    visit: Visit,
) -> Result<Response, Trouble> {
    let Names((owner, file)) = path?;
    if let ("new", Some(name)) = (file.as_str(), visit.parameter("environment")) {
        LayerFile::read(&owner, &format!("{name}.config"))?;
        let environment: EnvironmentName = name
            .parse()
            .map_err(|error: repository_api::NameError| Failure::bad_request(error.to_string()))?;
        return Ok(see_other(&format!(
            "/apps/{owner}/config/{environment}.config"
        )));
    }
    let before = visit.parameter("before").and_then(|text| text.parse().ok());
    let layer = Layer::read(&repository, owner, file, before).await?;
    show(&repository, &visit, &layer, None).await
}

async fn show(
    repository: &Repository,
    visit: &Visit,
    layer: &Layer,
    draft: Option<&Draft>,
) -> Shown {
    let wanted: Option<u64> = visit
        .parameter("generation")
        .and_then(|text| text.parse().ok());
    let content = match layer.newest {
        Some(newest) => layer.content(repository, newest).await?,
        None => String::new(),
    };
    let main = html! {
        @if visit.parameter("saved").is_some() && let Some(newest) = layer.newest {
            p.notice.good role="status" { "Saved: this is generation " (newest) "." }
        }
        @if let Some(wanted) = wanted {
            (old(repository, visit, layer, wanted).await?)
        } @else {
            (warnings(&content))
            (editor(visit, layer, &content, draft))
        }
        section aria-labelledby="history" {
            h2 #history { "History" }
            (history(layer, wanted))
            (next_page(layer.earlier.map(|before| format!("{}?before={before}#history", layer.path())).as_deref()))
        }
        (command("The same in a terminal", &format!(
            "curl --fail-with-body{} -T {} {}/config/{}/", visit.credentials(), layer.file, visit.base, layer.owner
        )))
    };
    if layer.owner == DEFAULT_OWNER {
        let head = html! {
            nav.path aria-label="Where this is" { a href="/" { "Apps" } }
            h1 { "Under every app" }
        };
        return Ok(page::show(visit, "Under every app", None, &head, &main));
    }
    Ok(page::of_app(
        visit,
        &layer.at.app,
        Tab::Config,
        &layer.file,
        &main,
    ))
}

/// A generation, what it changed, and a way to write it again.
async fn old(
    repository: &Repository,
    visit: &Visit,
    layer: &Layer,
    wanted: u64,
) -> Result<Markup, Failure> {
    let content = layer.content(repository, wanted).await?;
    let before = match wanted {
        1 => String::new(),
        later => layer.content(repository, later - 1).await?,
    };
    Ok(html! {
        p.lead {
            "This is generation " (wanted) ". "
            a href=(layer.path()) { "Back to the newest" }
        }
        h2 { "What it changed" }
        (difference(&before, &content))
        h2 { "What it said" }
        pre.content tabindex="0" { code { (content) } }
        @if Some(wanted) != layer.newest && visit.may(&layer.need()) {
            form.line method="post" action=(layer.path()) {
                input type="hidden" name="generation" value=[layer.newest];
                // No field of one line keeps line feeds.
                textarea name="content" hidden { "\n" (content) }
                button type="submit" { "Write it again as the next generation" }
            }
        }
    })
}

fn warnings(content: &str) -> Markup {
    let found = configure::warnings(content);
    html! {
        @for warning in found { p.notice.careful { (warning) } }
    }
}

fn editor(visit: &Visit, layer: &Layer, content: &str, draft: Option<&Draft>) -> Markup {
    let shown = draft.map_or(content, |draft| &draft.content);
    let error = draft.and_then(|draft| draft.error.as_ref());
    if !visit.may(&layer.need()) {
        return html! {
            pre.content tabindex="0" { code { (content) } }
            (empty("Your token does not cover this layer: ask for one with its config scope."))
        };
    }
    html! {
        @if let Some(draft) = draft {
            div.notice.bad role="alert" #refused {
                @match &draft.meanwhile {
                    Some((_, newest)) => p { "Generation " (newest) " was written since you opened this page. Your text is kept here, and was not saved." },
                    None => p { (draft.failure.detail) },
                }
                @if let Some(excerpt) = draft.failure.shown_excerpt() { pre { (excerpt) } }
            }
        }
        form.editor method="post" action=(layer.path())
            data-line=[error.map(|error| error.line)] data-column=[error.map(|error| error.column)] {
            input type="hidden" name="generation" value=[draft.map_or(layer.newest, |draft| draft.generation)];
            label for="content" { (layer.file) @if let Some(newest) = layer.newest { " at generation " (newest) } @else { ", which is new" } }
            // A line feed at the beginning belongs to the element, and not to what is in it.
            textarea #content name="content" wrap="off" rows=(rows(shown)) spellcheck="false" autocapitalize="off" autocomplete="off"
                aria-invalid=[error.map(|_| "true")] aria-describedby="grammar" { "\n" (shown) }
            p.hint #grammar {
                "One " code { "NAME=value" } " a line; single quotes keep everything as it is. Secrets belong into files of BOOTSTRAP_SECRETS_DIR, not here."
            }
            @match draft.and_then(|draft| draft.meanwhile.as_ref()) {
                Some((before, newest)) => {
                    p { "Others wrote generation " (newest) " meanwhile. What it changed:" }
                    (difference(before, content))
                    button type="submit" name="replace" value=(newest) { "Replace generation " (newest) " by what is above" }
                }
                None => button type="submit" { "Save as the next generation" },
            }
        }
    }
}

fn rows(content: &str) -> usize {
    (content.lines().count() + 2).clamp(8, 40)
}

fn history(layer: &Layer, wanted: Option<u64>) -> Markup {
    html! {
        @if layer.history.is_empty() { (empty("It was never written.")) } @else {
            table {
                thead { tr {
                    th scope="col" { "Generation" }
                    th scope="col" { "Digest" }
                    th scope="col" { "Written" }
                } }
                tbody {
                    @for (number, written) in &layer.history {
                        tr aria-current=[(wanted == Some(*number)).then_some("true")] {
                            th scope="row" {
                                a href={ (layer.path()) "?generation=" (number) } { "g" (number) }
                                @if Some(*number) == layer.newest { " " span.badge.strong { "newest" } }
                            }
                            td data-label="Digest" { (digest(&written.sha256)) }
                            td data-label="Written" { (done(&written.created, &written.by)) }
                        }
                    }
                }
            }
        }
    }
}

/// Lines that went and lines that came, with some around them.
fn difference(before: &str, after: &str) -> Markup {
    if before.lines().count() + after.lines().count() > MOST_LINES {
        return empty(
            "There are too many lines to compare: fetch both generations, and compare them where you are.",
        );
    }
    let found = TextDiff::configure()
        .timeout(PATIENCE)
        .diff_lines(before, after);
    html! {
        pre.difference tabindex="0" {
            @for group in found.grouped_ops(3) {
                @for change in group.iter().flat_map(|part| found.iter_changes(part)) {
                    @match change.tag() {
                        ChangeTag::Delete => del { "- " (change.value().trim_end_matches('\n')) "\n" },
                        ChangeTag::Insert => ins { "+ " (change.value().trim_end_matches('\n')) "\n" },
                        ChangeTag::Equal => { "  " (change.value().trim_end_matches('\n')) "\n" },
                    }
                }
            }
        }
    }
}

pub(super) async fn post(
    State(repository): State<Arc<Repository>>,
    path: Result<Path, Failure>,
    visit: Visit,
    request: Request,
) -> Shown {
    let visit = visit.without_query();
    let Names((owner, file)) = path?;
    let (parts, body) = request.into_parts();
    let by = Who::of(&parts.extensions);
    let sent = Form::read(&repository, &parts.headers, body, MAX).await?;
    // Forms write lines as CRLF, whatever was typed.
    let content = sent.required("content")?.replace("\r\n", "\n");
    if sent.field("check") == "true" {
        return Ok(check(&content));
    }
    // Whoever has seen what others wrote meanwhile may replace it.
    let seen = [sent.field("replace"), sent.field("generation")];
    let generation: Option<u64> = seen.iter().find_map(|seen| seen.parse().ok());
    let condition = expecting(generation.map(etag).as_deref());
    let at = LayerFile::read(&owner, &file)?;
    let bytes = content.clone().into_bytes();
    let outcome = configure(Arc::clone(&repository), at, condition, bytes, by).await;
    let layer = Layer::read(&repository, owner, file, None).await?;
    let Err(failure) = outcome else {
        return Ok(see_other(&format!("{}?saved=1", layer.path())));
    };
    if !visit.may(&layer.read_need()) {
        return Err(failure.into());
    }
    let status = failure.status;
    let meanwhile = match (generation, layer.newest) {
        (seen, Some(newest)) if seen != Some(newest) => {
            let before = match seen {
                Some(seen) if seen < newest => layer.content(&repository, seen).await?,
                _ => String::new(),
            };
            Some((before, newest))
        }
        _ => None,
    };
    let draft = Draft {
        generation,
        meanwhile,
        error: config::parse(content.as_bytes()).err(),
        content,
        failure,
    };
    let mut response = show(&repository, &visit, &layer, Some(&draft)).await?;
    *response.status_mut() = status;
    Ok(response)
}

/// Whether a text would be taken, for the script that looks while somebody types.
fn check(content: &str) -> Response {
    let found = match config::parse(content.as_bytes()) {
        Ok(_) => serde_json::json!({ "warnings": configure::warnings(content) }),
        Err(error) => serde_json::json!({
            "line": error.line,
            "column": error.column,
            "detail": error.to_string(),
        }),
    };
    answer(StatusCode::OK, JSON, json(&found))
}
