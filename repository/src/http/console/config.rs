//! `/apps/{app}/config`: the layers, and what an app would see of them, with where each value comes from.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};
use repository_api::release::LayerName;
use repository_api::{AppName, EnvironmentName, config};

use super::Shown;
use super::elements::{command, digest, done, empty};
use super::page::{self, Tab};
use super::visit::Visit;
use crate::Repository;
use crate::domain::catalogue::{AppState, Generation};
use crate::domain::configure::file_of;
use crate::domain::releases;
use crate::http::failure::Failure;
use crate::http::handlers::Names;
use crate::storage::keys::DEFAULT_OWNER;

struct Row {
    layer: LayerName,
    generation: u64,
    written: Generation,
}

fn rows(state: &AppState) -> Vec<Row> {
    let pins = state.pins().into_iter();
    pins.filter_map(|pin| {
        Some(Row {
            written: state.generation(&pin.layer, pin.generation)?,
            layer: pin.layer,
            generation: pin.generation,
        })
    })
    .collect()
}

pub(super) async fn get(
    State(repository): State<Arc<Repository>>,
    name: Result<Names<AppName>, Failure>,
    visit: Visit,
) -> Shown {
    let Names(app) = name?;
    let environment: Option<EnvironmentName> = visit
        .parameter("environment")
        .map(|text| text.parse())
        .transpose()
        .map_err(|error: repository_api::NameError| Failure::bad_request(error.to_string()))?;
    let entry = repository.catalogue.known(&app).await?;
    let mut rows_of_all = repository.catalogue.default_layer().await?.read(rows);
    rows_of_all.extend(entry.read(rows));
    let environments: Vec<&str> = rows_of_all
        .iter()
        .filter(|row| matches!(row.layer, LayerName::Environment(_)))
        .map(|row| row.layer.as_str())
        .collect();
    let seen = effective(&repository, &app, &rows_of_all, environment.as_ref()).await?;
    let main = html! {
        section aria-labelledby="layers" {
            h2 #layers { "Layers" }
            @if rows_of_all.is_empty() { (empty("No config yet.")) } @else { (table(&app, &rows_of_all)) }
            (begin(&app, &rows_of_all))
        }
        section aria-labelledby="effective" {
            h2 #effective { "What the app sees" }
            nav.choices aria-label="Environment" {
                a href={ "/apps/" (app) "/config#effective" } aria-current=[environment.is_none().then_some("true")] { "no environment" }
                @for name in &environments {
                    @let is_it = environment.as_ref().is_some_and(|it| it.as_str() == *name);
                    a href={ "/apps/" (app) "/config?environment=" (name) "#effective" } aria-current=[is_it.then_some("true")] { (name) }
                }
            }
            (effective_table(&seen))
        }
        (command("Write a layer", &format!(
            "curl --fail-with-body{} -T {app}.config {}/config/{app}/", visit.credentials(), visit.base
        )))
    };
    Ok(page::of_app(&visit, &app, Tab::Config, "Config", &main))
}

/// Whose file a layer is.
fn owner<'a>(app: &'a AppName, layer: &LayerName) -> &'a str {
    match layer {
        LayerName::Default => DEFAULT_OWNER,
        LayerName::App | LayerName::Environment(_) => app.as_str(),
    }
}

fn table(app: &AppName, rows: &[Row]) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "Layer" }
                th scope="col" { "Generation" }
                th scope="col" { "Digest" }
                th scope="col" { "Written" }
            } }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" {
                            a href={ "/apps/" (owner(app, &row.layer)) "/config/" (file_of(app, &row.layer)) } { (row.layer) }
                            @if row.layer == LayerName::Default { " " span.badge { "under every app" } }
                        }
                        td data-label="Generation" { "g" (row.generation) }
                        td data-label="Digest" { (digest(&row.written.sha256)) }
                        td data-label="Written" { (done(&row.written.created, &row.written.by)) }
                    }
                }
            }
        }
    }
}

/// Where a layer begins that is not there yet.
fn begin(app: &AppName, rows: &[Row]) -> Markup {
    let has_own = rows.iter().any(|row| row.layer == LayerName::App);
    html! {
        @if !has_own {
            p { a.button href={ "/apps/" (app) "/config/" (app) ".config" } { "Write " (app) ".config" } }
        }
        form.line method="get" action={ "/apps/" (app) "/config/new" } {
            label for="environment" { "New environment" }
            input #environment name="environment" required placeholder="production"
                pattern="(?!r[1-9][0-9]*$)(?!(app|default)$)[a-z][a-z0-9\\-]{0,62}" autocomplete="off";
            button.quiet type="submit" { "Write it" }
        }
    }
}

/// A value and the layer that it comes from.
struct Seen {
    value: String,
    layer: LayerName,
    /// The layer whose value it hides.
    over: Option<LayerName>,
}

async fn effective(
    repository: &Repository,
    app: &AppName,
    rows: &[Row],
    environment: Option<&EnvironmentName>,
) -> Result<BTreeMap<String, Seen>, Failure> {
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.layer.applies_to(environment)) {
        let content = releases::layer(repository, app, &row.layer, row.generation).await?;
        let parsed = config::parse(content.as_bytes())
            .map_err(|error| Failure::unprocessable(format!("layer {}: {error}", row.layer)))?;
        for assignment in parsed.assignments {
            let over = seen.remove(&assignment.name).map(|hidden| hidden.layer);
            let found = Seen {
                value: assignment.value,
                layer: row.layer.clone(),
                over,
            };
            seen.insert(assignment.name, found);
        }
    }
    Ok(seen)
}

fn effective_table(seen: &BTreeMap<String, Seen>) -> Markup {
    html! {
        @if seen.is_empty() { (empty("Nothing.")) } @else {
            table.effective {
                thead { tr {
                    th scope="col" { "Name" }
                    th scope="col" { "Value" }
                    th scope="col" { "From" }
                } }
                tbody {
                    @for (name, found) in seen {
                        tr {
                            th scope="row" { code { (name) } }
                            td data-label="Value" { code.value { (found.value) } }
                            td data-label="From" {
                                (found.layer)
                                @if let Some(over) = &found.over { " " span.none { "over " (over) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
