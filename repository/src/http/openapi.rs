//! `/openapi.json`: the `OpenAPI` 3.1 document of the API. Each handler has its description beside its code. The router
//! takes path and method from the description, so both always agree.

use std::borrow::Cow;

use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{KnownFormat, ObjectBuilder, OpenApi, RefOr, Schema, SchemaFormat, Type};
use utoipa::{IntoResponses, Modify, PartialSchema, ToSchema};

use crate::http::etag;
use crate::http::failure::Failure;
use crate::http::response::{JSON, tagged};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "repository",
        description = "Serves versioned, immutable artefacts, layered config, and releases that pin both. Every error is a problem document (RFC 9457) whose `detail` names the next step.",
    ),
    components(schemas(
        App,
        Version,
        Channel,
        File,
        Reference,
        Release,
        LayerFile,
        Target,
        Boolean,
        Sha256,
        Binary,
        ProblemDocument
    )),
    modifiers(&Schemes),
    security(("bearer" = []), ("basic" = []))
)]
struct Base;

/// The document without routes.
pub(crate) fn base() -> OpenApi {
    let mut base = <Base as utoipa::OpenApi>::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut base.info.version);
    base
}

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = |scheme: HttpAuthScheme, description: &str| {
            let http = HttpBuilder::new().scheme(scheme);
            SecurityScheme::Http(http.description(Some(description)).build())
        };
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "bearer",
            scheme(
                HttpAuthScheme::Bearer,
                "A token created with `repository token create`.",
            ),
        );
        components.add_security_scheme(
            "basic",
            scheme(
                HttpAuthScheme::Basic,
                "The token as password, with any user name: `curl -u token:SECRET`.",
            ),
        );
    }
}

/// The serialized document.
#[derive(Debug, Clone)]
pub(crate) struct Document(Bytes);

impl Document {
    pub(crate) fn of(document: &OpenApi) -> Self {
        let mut value = serde_json::to_value(document).unwrap_or_default();
        for parameter in parameters(&mut value) {
            without_null(&mut parameter["schema"]);
        }
        // Not indented: indentation would triple the size.
        Self(value.to_string().into())
    }

    pub(crate) fn respond(&self, request: &HeaderMap) -> Result<Response, Failure> {
        tagged(request, JSON, &etag::of_body(&self.0), self.0.clone())
    }
}

/// The parameters of all operations.
fn parameters(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut().into_iter();
    let operations = paths
        .flat_map(|paths| paths.values_mut())
        .filter_map(Value::as_object_mut)
        .flat_map(|verbs| verbs.values_mut());
    operations
        .filter_map(|operation| operation.get_mut("parameters")?.as_array_mut())
        .flatten()
}

/// Removes `null` from the schema of an optional parameter. Paths, queries and headers cannot hold `null`.
fn without_null(schema: &mut Value) {
    let is_null = |value: &Value| value == "null" || value["type"] == "null";
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|name| !is_null(name));
        if let [only] = types.as_mut_slice() {
            schema["type"] = only.take();
        }
    }
    if let Some(choices) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        choices.retain(|choice| !is_null(choice));
        if let [only] = choices.as_mut_slice() {
            *schema = only.take();
        }
    }
}

/// A string schema with a pattern and an example.
macro_rules! grammar {
    ($($(#[$doc:meta])* $name:ident $pattern:literal $example:literal)*) => { $(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some($pattern))
                    .examples([$example])
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )* };
}

grammar! {
    /// The name of an app: a DNS label.
    App r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" "hello-world"
    /// A version.
    Version r"^[0-9][A-Za-z0-9._+-]{0,127}$" "1.0.0"
    /// A channel.
    Channel r"^(?!latest$)(?!r[1-9][0-9]*$)[a-z][a-z0-9-]{0,62}$" "stable"
    /// A file of a version.
    File r"^(?!yanked$)(?!.*\.(sha256|minisig)$)[A-Za-z0-9][A-Za-z0-9._+-]{0,254}$" "hello-world-1.0.0.tar.gz"
    /// A release, a version, a channel or `latest`.
    Reference r"^(r[1-9][0-9]{0,8}|[0-9][A-Za-z0-9._+-]{0,127}|[a-z][a-z0-9-]{0,62})$" "stable"
    /// The number of a release.
    Release r"^r[1-9][0-9]{0,8}$" "r42"
    /// The file of a config layer: `{app}.config`, or `{environment}.config`.
    LayerFile r"^[a-z][a-z0-9-]{0,62}\.config$" "hello-world.config"
    /// The target of a channel: a version or a release.
    Target r"^(r[1-9][0-9]{0,8}|[0-9][A-Za-z0-9._+-]{0,127})\n?$" "1.0.0"
    /// A boolean.
    Boolean r"^(true|false)\n?$" "true"
    /// A SHA-256, in hexadecimal digits.
    Sha256 r"^[0-9a-f]{64}$" "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
}

/// Raw bytes.
#[derive(Debug)]
pub(crate) struct Binary;

impl PartialSchema for Binary {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .into()
    }
}

impl ToSchema for Binary {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Binary")
    }
}

/// A problem document (RFC 9457).
#[derive(Debug, ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes the documents of repository-api")]
pub(crate) struct ProblemDocument {
    title: String,
    status: u16,
    /// What failed, and the next step.
    detail: String,
    /// The refused line of a config with its values masked, and a caret below the error.
    excerpt: Option<String>,
}

/// Error responses to any request.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "describes the responses of failure.rs")]
pub(crate) enum Refused {
    /// A name, a parameter or a header is malformed.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(#[to_schema] ProblemDocument),
    /// The request needs a token.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] ProblemDocument),
    /// The token does not cover the request.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] ProblemDocument),
    /// Too many invalid tokens came from this address.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(#[to_schema] ProblemDocument),
    /// The storage failed. The server's log has the cause.
    #[response(status = 500, content_type = "application/problem+json")]
    Failed(#[to_schema] ProblemDocument),
}

/// Error responses for resources that do not exist.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "describes the responses of failure.rs")]
pub(crate) enum Missing {
    /// The resource does not exist.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] ProblemDocument),
    /// The version was purged.
    #[response(status = 410, content_type = "application/problem+json")]
    Gone(#[to_schema] ProblemDocument),
}

/// Responses to a conditional request.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "describes the responses of conditional.rs")]
pub(crate) enum Conditional {
    /// `If-None-Match` names the current entity tag.
    #[response(status = 304)]
    NotModified,
    /// A precondition failed.
    #[response(status = 412, content_type = "application/problem+json")]
    Failed(#[to_schema] ProblemDocument),
}

/// Error responses to a request with a body.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "describes the responses of receive.rs")]
pub(crate) enum Body {
    /// The body timed out.
    #[response(status = 408, content_type = "application/problem+json")]
    Slow(#[to_schema] ProblemDocument),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] ProblemDocument),
    /// The body has a content encoding.
    #[response(status = 415, content_type = "application/problem+json")]
    Encoded(#[to_schema] ProblemDocument),
    /// The transfer coding is not supported.
    #[response(status = 501, content_type = "application/problem+json")]
    NotUnderstood(#[to_schema] ProblemDocument),
    /// Concurrent writes won every attempt, and nothing was changed. Retry the request.
    #[response(status = 503, content_type = "application/problem+json")]
    Contended(#[to_schema] ProblemDocument),
    /// The disk or the quota is full.
    #[response(status = 507, content_type = "application/problem+json")]
    Full(#[to_schema] ProblemDocument),
}

/// Error responses to a write that conflicts with immutable data.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "describes the responses of failure.rs")]
pub(crate) enum Conflicts {
    /// The write conflicts with immutable data.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(#[to_schema] ProblemDocument),
}

/// Error responses to a body that is valid in form but not in content.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "describes the responses of failure.rs")]
pub(crate) enum Unprocessable {
    /// The content of the body is invalid.
    #[response(status = 422, content_type = "application/problem+json")]
    Unprocessable(#[to_schema] ProblemDocument),
}

/// The release document that `bootstrap` fetches.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReleaseDocument {
    /// JSON: the exact bytes that are signed.
    statement: String,
    /// The `.minisig`, if the release is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    config: Vec<Layer>,
}

/// A config layer, as it was written.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Layer {
    layer: String,
    content: String,
}

#[cfg(test)]
mod tests {
    use repository_api::{Problem, release};

    use super::*;

    #[test]
    fn schemas_have_the_fields_of_the_documents() {
        let fields = |value: serde_json::Value| -> Vec<String> {
            value.as_object().unwrap().keys().cloned().collect()
        };
        let document = release::ReleaseDocument {
            statement: String::new(),
            signature: Some(String::new()),
            config: Vec::new(),
        };
        let described = ReleaseDocument {
            statement: String::new(),
            signature: Some(String::new()),
            config: Vec::new(),
        };
        assert_eq!(
            fields(serde_json::to_value(document).unwrap()),
            fields(serde_json::to_value(described).unwrap())
        );
        let problem = Problem {
            title: String::new(),
            status: 400,
            detail: String::new(),
            excerpt: Some(String::new()),
        };
        let written = fields(serde_json::to_value(problem).unwrap());
        let schema = serde_json::to_value(ProblemDocument::schema()).unwrap();
        assert_eq!(written, fields(schema["properties"].clone()));
    }
}
