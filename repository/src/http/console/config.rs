//! `/apps/{app}/config`: the config layers of an app, and the merged config with the source of each value.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};
use repository_api::release::{LayerName, LayerPin};
use repository_api::{AppName, EnvironmentName};

use super::PageResult;
use super::elements::{attribution, command, digest, empty};
use super::page::{self, Tab};
use super::visit::Visit;
use crate::domain::catalogue::Catalogue;
use crate::domain::error::Error;
use crate::domain::layer_file::LayerFile;
use crate::domain::releases;
use crate::domain::state::layers::{Generation, Layers};
use crate::http::extract::Known;
use crate::http::failure::Failure;

struct Row {
    pin: LayerPin,
    generation: Generation,
}

fn rows(layers: &Layers) -> Vec<Row> {
    let row = |pin: LayerPin| {
        Some(Row {
            generation: layers.generation(&pin.layer, pin.generation)?,
            pin,
        })
    };
    layers.pins().into_iter().filter_map(row).collect()
}

pub(super) async fn get(
    State(catalogue): State<Arc<Catalogue>>,
    known: Result<Known<AppName>, Failure>,
    visit: Visit,
) -> PageResult {
    let Known(app, log) = known?;
    let environment: Option<EnvironmentName> = visit
        .parameter("environment")
        .map(|text| text.parse())
        .transpose()
        .map_err(Error::InvalidName)?;
    let default = catalogue.default_layer().await?;
    let mut all_rows = default.read(|state| rows(&state.layers));
    all_rows.extend(log.read(|state| rows(&state.layers)));
    let environments: Vec<&str> = all_rows
        .iter()
        .filter(|row| matches!(row.pin.layer, LayerName::Environment(_)))
        .map(|row| row.pin.layer.as_str())
        .collect();
    let values = effective(&catalogue, &app, &all_rows, environment.as_ref()).await?;
    let main = html! {
        section aria-labelledby="layers" {
            h2 #layers { "Layers" }
            @if all_rows.is_empty() { (empty("No config yet. Write the first layer below.")) } @else { (table(&app, &all_rows)) }
            (new_layer_links(&app, &all_rows))
        }
        section aria-labelledby="effective" {
            h2 #effective { "Effective config" }
            nav.choices aria-label="Environment" {
                a href={ "/apps/" (app) "/config#effective" } aria-current=[environment.is_none().then_some("true")] { "no environment" }
                @for name in &environments {
                    @let is_selected = environment.as_ref().is_some_and(|selected| selected.as_str() == *name);
                    a href={ "/apps/" (app) "/config?environment=" (name) "#effective" } aria-current=[is_selected.then_some("true")] { (name) }
                }
            }
            (effective_table(&values))
        }
        (command("Write a layer from a terminal", &format!(
            "curl --fail-with-body{} -T {app}.config {}/config/{app}/", visit.credentials(), visit.base
        )))
    };
    Ok(page::of_app(&visit, &app, Tab::Config, "Config", &main))
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
                    @let file = LayerFile::of(app, &row.pin.layer);
                    tr {
                        th scope="row" {
                            a href={ "/apps/" (file.owner()) "/config/" (file.name()) } { (row.pin.layer) }
                            @if row.pin.layer == LayerName::Default { " " span.badge { "shared by all apps" } }
                        }
                        td data-label="Generation" { "g" (row.pin.generation) }
                        td data-label="Digest" { (digest(&row.generation.sha256)) }
                        td data-label="Written" { (attribution(&row.generation.created, &row.generation.by)) }
                    }
                }
            }
        }
    }
}

/// Links to layers that do not exist yet.
fn new_layer_links(app: &AppName, rows: &[Row]) -> Markup {
    let has_own = rows.iter().any(|row| row.pin.layer == LayerName::App);
    html! {
        @if !has_own {
            p { a.button href={ "/apps/" (app) "/config/" (app) ".config" } { "Create " (app) ".config" } }
        }
        form.line method="get" action={ "/apps/" (app) "/config/new" } {
            label for="environment" { "New environment layer" }
            input #environment name="environment" required placeholder="production"
                pattern="(?!r[1-9][0-9]*$)(?!(app|default)$)[a-z][a-z0-9\\-]{0,62}" autocomplete="off";
            button.quiet type="submit" { "Create layer" }
        }
    }
}

/// A value, and the layer that sets it.
struct EffectiveValue {
    value: String,
    layer: LayerName,
    /// The layer whose value is overridden.
    overrides: Option<LayerName>,
}

async fn effective(
    catalogue: &Catalogue,
    app: &AppName,
    rows: &[Row],
    environment: Option<&EnvironmentName>,
) -> Result<BTreeMap<String, EffectiveValue>, Error> {
    let mut values: BTreeMap<String, EffectiveValue> = BTreeMap::new();
    let pins = rows.iter().map(|row| &row.pin);
    for pin in pins.filter(|pin| pin.layer.applies_to(environment)) {
        let parsed = releases::parsed_layer(catalogue, app, pin).await?;
        for assignment in parsed.assignments {
            let overrides = values.remove(&assignment.name).map(|hidden| hidden.layer);
            let found = EffectiveValue {
                value: assignment.value,
                layer: pin.layer.clone(),
                overrides,
            };
            values.insert(assignment.name, found);
        }
    }
    Ok(values)
}

fn effective_table(values: &BTreeMap<String, EffectiveValue>) -> Markup {
    html! {
        @if values.is_empty() { (empty("No values are set.")) } @else {
            table.effective {
                thead { tr {
                    th scope="col" { "Name" }
                    th scope="col" { "Value" }
                    th scope="col" { "Layer" }
                } }
                tbody {
                    @for (name, found) in values {
                        tr {
                            th scope="row" { code { (name) } }
                            td data-label="Value" { code.value { (found.value) } }
                            td data-label="Layer" {
                                (found.layer)
                                @if let Some(overridden) = &found.overrides { " " span.none { "overrides " (overridden) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
