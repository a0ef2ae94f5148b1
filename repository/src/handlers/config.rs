//! `/config/{app}/…`: layers with generations, and the merge of them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri, header};
use repository_api::config::{self, Assignment, Config};
use repository_api::release::LayerName;
use repository_api::{AppName, Digest, EnvironmentName};
use sha2::{Digest as _, Sha256};

use super::{Names, Number, TEXT, answer, parameter, tagged, text_value};
use crate::access::Who;
use crate::catalogue::{AppState, Decision, Event};
use crate::conditional::{self, Outcome};
use crate::failure::Failure;
use crate::storage::keys::DEFAULT_OWNER;
use crate::to_the_end::to_the_end;
use crate::{Repository, receive, releases};

/// The layer that a file of an app's config names. The app's part of the path is a plain text,
/// because `_default` is no app name.
fn layer(owner: &str, file: &str) -> Result<(AppName, LayerName), Failure> {
    if (owner, file) == (DEFAULT_OWNER, "_default.config") {
        // No app owns the layer under every app; the name is never looked at.
        let nobody = "default".parse().map_err(bad)?;
        return Ok((nobody, LayerName::Default));
    }
    if owner == DEFAULT_OWNER {
        return Err(Failure::bad_request(
            "_default has one layer: write /config/_default/_default.config",
        ));
    }
    let app: AppName = owner.parse().map_err(bad)?;
    let Some(name) = file.strip_suffix(".config") else {
        return Err(Failure::bad_request(format!(
            "a config is named {app}.config, or ENVIRONMENT.config for one environment"
        )));
    };
    if name == app.as_str() {
        return Ok((app, LayerName::App));
    }
    Ok((app, LayerName::Environment(name.parse().map_err(bad)?)))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn bad(error: repository_api::NameError) -> Failure {
    Failure::bad_request(error.to_string())
}

fn etag(generation: u64) -> String {
    format!("\"g{generation}\"")
}

pub(crate) async fn get(
    State(repository): State<Arc<Repository>>,
    Names((owner, file)): Names<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (app, layer) = layer(&owner, &file)?;
    let wanted = parameter(uri.query(), "generation")?.map(|Number(wanted)| wanted);
    let entry = repository.catalogue.layer_owner(&app, &layer).await?;
    let newest = entry.and_then(|entry| entry.read(|state| Some(state.newest(&layer)?.0)));
    let generation = match (wanted, newest) {
        (_, None) => Err(Failure::not_found(format!(
            "there is no {file} of {owner}: write it with PUT /config/{owner}/{file}"
        ))),
        (None, Some(newest)) => Ok(newest),
        (Some(wanted), Some(newest)) if (1..=newest).contains(&wanted) => Ok(wanted),
        (Some(wanted), Some(newest)) => Err(Failure::not_found(format!(
            "{file} of {owner} has generations 1 to {newest}, and no {wanted}"
        ))),
    }?;
    let content = releases::layer(&repository, &app, &layer, generation).await?;
    tagged(&headers, TEXT, &etag(generation), content)
}

pub(crate) async fn put(
    State(repository): State<Arc<Repository>>,
    Names((owner, file)): Names<(String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let (app, layer) = layer(&owner, &file)?;
    let (parts, body) = request.into_parts();
    let by = Who::of(&parts.extensions);
    let bytes = receive::small(&repository, &parts.headers, body, config::MAX_FILE_BYTES).await?;
    let parsed = config::parse(&bytes).map_err(|error| {
        let excerpt = config::excerpt(&bytes, &error);
        Failure::unprocessable(format!("{file}, {error}")).excerpt(excerpt)
    })?;
    let content = String::from_utf8(bytes)
        .map_err(|_| Failure::unprocessable(format!("{file} is not UTF-8")))?;
    let written =
        to_the_end(
            async move { write(&repository, &app, &layer, &parts.headers, content, &by).await },
        )
        .await?;
    let mut text = match written.status {
        StatusCode::OK => format!(
            "{file} of {owner} is unchanged at generation {}\n",
            written.generation
        ),
        _ => format!(
            "{file} of {owner} is now generation {}\n",
            written.generation
        ),
    };
    if let Some(note) = written.note {
        text.push_str(&note);
    }
    let twice = parsed.warnings.iter().map(ToString::to_string);
    for warning in twice.chain(secrets(&parsed)) {
        text.push_str("warning: ");
        text.push_str(&warning);
        text.push('\n');
    }
    let mut response = answer(written.status, TEXT, text);
    response
        .headers_mut()
        .insert(header::ETAG, text_value(&etag(written.generation)));
    Ok(response)
}

/// What names look like secrets: whoever may read a config may read those.
fn secrets(config: &Config) -> impl Iterator<Item = String> {
    let suspects = config.assignments.iter().filter(|assignment| {
        let is_named_so = looks_secret(&assignment.name.to_ascii_uppercase());
        (is_named_so && !assignment.value.is_empty()) || has_password(&assignment.value)
    });
    suspects.map(|Assignment { name, line, .. }| {
        format!(
            "line {line}: {name} looks like a secret, and whoever may read this config sees it: put it into a file of that name in BOOTSTRAP_SECRETS_DIR (/run/secrets) instead"
        )
    })
}

fn looks_secret(name: &str) -> bool {
    const PARTS: [&str; 8] = [
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "SECRET",
        "TOKEN",
        "CREDENTIAL",
        "API_KEY",
        "PRIVATE_KEY",
    ];
    // Where the secret is, and not what it is.
    const ELSEWHERE: [&str; 6] = ["_FILE", "_PATH", "_DIR", "_NAME", "_ID", "_TTL"];
    PARTS.iter().any(|part| name.contains(part)) && !ELSEWHERE.iter().any(|end| name.ends_with(end))
}

/// An address such as `postgres://app:hunter2@database/app`.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.and_then(|user| user.split_once(':'))
        .is_some_and(|(_, password)| !password.is_empty())
}

pub(crate) struct Written {
    status: StatusCode,
    generation: u64,
    note: Option<String>,
}

pub(crate) async fn write(
    repository: &Repository,
    app: &AppName,
    layer: &LayerName,
    headers: &HeaderMap,
    content: String,
    by: &str,
) -> Result<Written, Failure> {
    let sha256 = Digest::new(Sha256::digest(content.as_bytes()).into());
    let entry = repository.catalogue.layer_owner_for_write(app, layer);
    entry
        .commit(&repository.storage, by, |state| {
            let current = state.newest(layer);
            let tag = current.map(|(generation, _)| etag(generation));
            if conditional::evaluate(headers, tag.as_deref()) != Outcome::Proceed {
                return Err(Failure::precondition(match tag {
                    Some(tag) => format!(
                        "the layer is at {tag}: read it, take its changes over, and write with If-Match: {tag}"
                    ),
                    None => {
                        "the layer does not exist yet: write it without If-Match".to_owned()
                    }
                }));
            }
            if let Some((generation, _)) = current.filter(|(_, found)| *found == sha256) {
                return Ok(Decision::Settled(Written {
                    status: StatusCode::OK,
                    generation,
                    note: None,
                }));
            }
            let written = Written {
                status: StatusCode::CREATED,
                generation: current.map_or(1, |(generation, _)| generation + 1),
                note: new_environment(app, layer, state),
            };
            let event = Event::Configure {
                layer: layer.clone(),
                sha256,
                content: content.clone(),
            };
            Ok(Decision::Append(vec![event], written))
        })
        .await
}

fn new_environment(app: &AppName, layer: &LayerName, state: &AppState) -> Option<String> {
    let LayerName::Environment(environment) = layer else {
        return None;
    };
    if state.newest(layer).is_some() {
        return None;
    }
    let existing = state.environments();
    let existing = if existing.is_empty() {
        "none".to_owned()
    } else {
        existing.join(", ")
    };
    Some(format!(
        "{environment} is a new environment of {app}; so far there were: {existing}\n"
    ))
}

/// The merge, as an app would see it, in the grammar of the files.
pub(crate) async fn merged(
    State(repository): State<Arc<Repository>>,
    Names(owner): Names<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if owner == DEFAULT_OWNER {
        return Err(Failure::not_found(
            "_default has one layer: ask for /config/_default/_default.config",
        ));
    }
    let app: AppName = owner.parse().map_err(bad)?;
    let environment: Option<EnvironmentName> = parameter(uri.query(), "environment")?;
    let entry = repository.catalogue.known(&app).await?;
    let mut pins = repository
        .catalogue
        .default_layer()
        .await?
        .read(AppState::pins);
    pins.extend(entry.read(AppState::pins));
    pins.retain(|pin| pin.layer.applies_to(environment.as_ref()));
    if pins.is_empty() {
        return Err(Failure::not_found(format!(
            "{app} has no config: write it with PUT /config/{app}/{app}.config"
        )));
    }
    let mut layers: Vec<Config> = Vec::new();
    for pin in &pins {
        let content = releases::layer(&repository, &app, &pin.layer, pin.generation).await?;
        let parsed = config::parse(content.as_bytes()).map_err(|error| {
            Failure::unprocessable(format!(
                "layer {} at generation {}: {error}",
                pin.layer, pin.generation
            ))
        })?;
        layers.push(parsed);
    }
    let merged = config::merge(&layers);
    let text = config::render(
        merged
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let tag = format!(
        "\"sha256:{}\"",
        Digest::new(Sha256::digest(text.as_bytes()).into())
    );
    tagged(&headers, TEXT, &tag, text)
}
