//! `/apps/{app}/config/{file}`: the editor of a config layer, and its history with the changes of each generation.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use repository_api::EnvironmentName;
use repository_api::config::{self, ConfigError};
use similar::{ChangeTag, TextDiff};

use super::PageResult;
use super::elements::{attribution, command, digest, empty, next_page};
use super::form::{Form, see_other};
use super::page::{self, ErrorPage, Tab};
use super::visit::Visit;
use crate::domain::catalogue::Catalogue;
use crate::domain::configure::{self, configure};
use crate::domain::error::Error;
use crate::domain::layer_file::LayerFile;
use crate::domain::precondition::Precondition;
use crate::domain::scope::Need;
use crate::domain::state::layers::Generation;
use crate::http::extract::{Names, Write};
use crate::http::failure::Failure;
use crate::http::response::{JSON, json, respond};

/// Limits of a comparison. Past the timeout, the remaining lines are shown as replaced.
const MAX_LINES: usize = 20_000;
const DIFF_TIMEOUT: Duration = Duration::from_millis(50);

/// Maximum generations on a page.
const LIMIT: usize = 50;

/// Maximum bytes of the form: percent-encoding triples the size of the config.
const MAX: usize = 3 * config::MAX_FILE_BYTES + 4096;

/// A layer, and one page of its history.
struct Layer {
    file: LayerFile,
    /// Generations with their numbers, newest first.
    history: Vec<(u64, Generation)>,
    /// The last generation on this page, if older ones follow.
    earlier: Option<u64>,
    newest: Option<u64>,
}

impl Layer {
    async fn read(
        catalogue: &Catalogue,
        file: LayerFile,
        before: Option<u64>,
    ) -> Result<Self, Error> {
        let layer = file.layer();
        let found = catalogue
            .layers(&file, |layers| {
                let newest = layers.newest(&layer).map(|(number, _)| number);
                let before = before.unwrap_or(u64::MAX);
                (newest, layers.newest_before(&layer, before, LIMIT + 1))
            })
            .await?;
        let (newest, mut history) = match (found, file.app()) {
            (Some(found), _) => found,
            (None, Some(app)) => return Err(Error::UnknownApp(app.clone())),
            (None, None) => (None, Vec::new()),
        };
        let earlier = (history.len() > LIMIT).then(|| {
            history.truncate(LIMIT);
            history.last().map_or(1, |(number, _)| *number)
        });
        Ok(Self {
            file,
            history,
            earlier,
            newest,
        })
    }

    async fn content(&self, catalogue: &Catalogue, generation: u64) -> Result<String, Error> {
        catalogue.content(&self.file, generation).await
    }

    fn path(&self) -> String {
        format!("/apps/{}/config/{}", self.file.owner(), self.file.name())
    }

    fn need_to_read(&self) -> Need {
        match self.file.app() {
            None => Need::ReadDefault,
            Some(app) => Need::Read(Some(app.clone())),
        }
    }

    fn need_to_write(&self) -> Need {
        match self.file.app() {
            None => Need::config_of_default(),
            Some(app) => Need::config_of(app),
        }
    }
}

/// A text that the server refused.
struct Draft {
    content: String,
    failure: Failure,
    error: Option<ConfigError>,
    /// The generation that the user edited.
    generation: Option<u64>,
    /// The content of that generation and the number of the newest one, if someone else saved a generation since.
    conflict: Option<(String, u64)>,
}

type Path = Names<(String, String)>;

pub(super) async fn get(
    State(catalogue): State<Arc<Catalogue>>,
    path: Result<Path, Failure>,
    visit: Visit,
) -> Result<Response, ErrorPage> {
    let Names((owner, file)) = path?;
    if let ("new", Some(name)) = (file.as_str(), visit.parameter("environment")) {
        LayerFile::parse(&owner, &format!("{name}.config"))?;
        let environment: EnvironmentName = name.parse().map_err(Error::InvalidName)?;
        return Ok(see_other(&format!(
            "/apps/{owner}/config/{environment}.config"
        )));
    }
    let before = visit.parameter("before").and_then(|text| text.parse().ok());
    let file = LayerFile::parse(&owner, &file)?;
    let layer = Layer::read(&catalogue, file, before).await?;
    show(&catalogue, &visit, &layer, None).await
}

async fn show(
    catalogue: &Catalogue,
    visit: &Visit,
    layer: &Layer,
    draft: Option<&Draft>,
) -> PageResult {
    let wanted: Option<u64> = visit
        .parameter("generation")
        .and_then(|text| text.parse().ok());
    let content = match layer.newest {
        Some(newest) => layer.content(catalogue, newest).await?,
        None => String::new(),
    };
    let main = html! {
        @if visit.parameter("saved").is_some() && let Some(newest) = layer.newest {
            p.notice.good role="status" { "Saved as generation " (newest) "." }
        }
        @if let Some(wanted) = wanted {
            (old_generation(catalogue, visit, layer, wanted).await?)
        } @else {
            (warnings(&content))
            (editor(visit, layer, &content, draft))
        }
        section aria-labelledby="history" {
            h2 #history { "History" }
            (history(layer, wanted))
            (next_page(layer.earlier.map(|before| format!("{}?before={before}#history", layer.path())).as_deref()))
        }
        (command("Write this layer from a terminal", &format!(
            "curl --fail-with-body{} -T {} {}/config/{}/", visit.credentials(), layer.file.name(), visit.base, layer.file.owner()
        )))
    };
    let Some(app) = layer.file.app() else {
        let head = html! {
            nav.path aria-label="Breadcrumb" { a href="/" { "Apps" } }
            h1 { "Default config of all apps" }
        };
        return Ok(page::show(
            visit,
            "Default config of all apps",
            None,
            &head,
            &main,
        ));
    };
    let title = layer.file.name();
    Ok(page::of_app(visit, app, Tab::Config, &title, &main))
}

/// An old generation, its changes, and a button that restores it.
async fn old_generation(
    catalogue: &Catalogue,
    visit: &Visit,
    layer: &Layer,
    wanted: u64,
) -> Result<Markup, Error> {
    let content = layer.content(catalogue, wanted).await?;
    let before = match wanted {
        1 => String::new(),
        later => layer.content(catalogue, later - 1).await?,
    };
    Ok(html! {
        p.lead {
            "You are viewing generation " (wanted) ". "
            a href=(layer.path()) { "Show the newest" }
        }
        h2 { "Changes in this generation" }
        (difference(&before, &content))
        h2 { "Content" }
        pre.content tabindex="0" { code { (content) } }
        @if Some(wanted) != layer.newest && visit.may(&layer.need_to_write()) {
            form.line method="post" action=(layer.path()) {
                input type="hidden" name="generation" value=[layer.newest];
                // An input element would drop line feeds.
                textarea name="content" hidden { "\n" (content) }
                button type="submit" { "Restore as a new generation" }
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
    if !visit.may(&layer.need_to_write()) {
        return html! {
            pre.content tabindex="0" { code { (content) } }
            (empty(&format!("Your token does not allow writing this layer. Ask your administrator for a token with the scope config:{}.", layer.file.owner())))
        };
    }
    html! {
        @if let Some(draft) = draft {
            div.notice.bad role="alert" #refused {
                @match &draft.conflict {
                    Some((_, newest)) => p { "Not saved: someone else saved generation " (newest) " after you opened this page. Your text is still in the editor." },
                    None => p { (draft.failure.detail) },
                }
                @if let Some(excerpt) = draft.failure.excerpt() { pre { (excerpt) } }
            }
        }
        form.editor method="post" action=(layer.path())
            data-line=[error.map(|error| error.line)] data-column=[error.map(|error| error.column)] {
            input type="hidden" name="generation" value=[draft.map_or(layer.newest, |draft| draft.generation)];
            label for="content" { (layer.file.name()) @if let Some(newest) = layer.newest { " at generation " (newest) } @else { " (new layer)" } }
            // HTML drops the first line feed of a textarea.
            textarea #content name="content" wrap="off" rows=(rows(shown)) spellcheck="false" autocapitalize="off" autocomplete="off"
                aria-invalid=[error.map(|_| "true")] aria-describedby="grammar" { "\n" (shown) }
            p.hint #grammar {
                "Write one " code { "NAME=value" } " per line. Single quotes preserve the value exactly. Don't store secrets here: put them in files under " code { "BOOTSTRAP_SECRETS_DIR" } "."
            }
            @match draft.and_then(|draft| draft.conflict.as_ref()) {
                Some((before, newest)) => {
                    p { "Changes in generation " (newest) ":" }
                    (difference(before, content))
                    button type="submit" name="replace" value=(newest) { "Overwrite generation " (newest) " with your text" }
                }
                None => button type="submit" { "Save as a new generation" },
            }
        }
    }
}

fn rows(content: &str) -> usize {
    (content.lines().count() + 2).clamp(8, 40)
}

fn history(layer: &Layer, wanted: Option<u64>) -> Markup {
    html! {
        @if layer.history.is_empty() { (empty("No generations yet.")) } @else {
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
                            td data-label="Written" { (attribution(&written.created, &written.by)) }
                        }
                    }
                }
            }
        }
    }
}

/// Removed and added lines, with context.
fn difference(before: &str, after: &str) -> Markup {
    if before.lines().count() + after.lines().count() > MAX_LINES {
        return empty(
            "There are too many lines to compare. Download both generations and compare them locally.",
        );
    }
    let found = TextDiff::configure()
        .timeout(DIFF_TIMEOUT)
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
    State(catalogue): State<Arc<Catalogue>>,
    path: Result<Path, Failure>,
    visit: Visit,
    request: Write,
) -> PageResult {
    let visit = visit.without_query();
    let Names((owner, file)) = path?;
    let by = request.by.clone();
    let sent = Form::read(request, MAX).await?;
    // Browsers submit line breaks as CRLF.
    let content = sent.required("content")?.replace("\r\n", "\n");
    if sent.field("check") == "true" {
        return Ok(check(&content));
    }
    // A user who has seen the conflicting generation may overwrite it.
    let base = [sent.field("replace"), sent.field("generation")];
    let base: Option<u64> = base.iter().find_map(|number| number.parse().ok());
    let precondition = Precondition::new(move |current| current == base);
    let file = LayerFile::parse(&owner, &file)?;
    let bytes = content.clone().into_bytes();
    let outcome = configure(&catalogue, file.clone(), precondition, bytes, by).await;
    let layer = Layer::read(&catalogue, file, None).await?;
    let Err(error) = outcome else {
        return Ok(see_other(&format!("{}?saved=1", layer.path())));
    };
    let failure = Failure::from(error);
    if !visit.may(&layer.need_to_read()) {
        return Err(failure.into());
    }
    let status = failure.status;
    let conflict = match (base, layer.newest) {
        (base, Some(newest)) if base != Some(newest) => {
            let before = match base {
                Some(base) if base < newest => layer.content(&catalogue, base).await?,
                _ => String::new(),
            };
            Some((before, newest))
        }
        _ => None,
    };
    let draft = Draft {
        generation: base,
        conflict,
        error: config::parse(content.as_bytes()).err(),
        content,
        failure,
    };
    let mut response = show(&catalogue, &visit, &layer, Some(&draft)).await?;
    *response.status_mut() = status;
    Ok(response)
}

/// Validates a text for the script, which calls it while the user types.
fn check(content: &str) -> Response {
    let found = match config::parse(content.as_bytes()) {
        Ok(_) => serde_json::json!({ "warnings": configure::warnings(content) }),
        Err(error) => serde_json::json!({
            "line": error.line,
            "column": error.column,
            "detail": error.to_string(),
        }),
    };
    respond(StatusCode::OK, JSON, json(&found))
}
