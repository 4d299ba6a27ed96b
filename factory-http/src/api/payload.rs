//! What goes in and out of operations: JSON whose schema is the one that serde reads and writes by, so that the
//! document says what is served.
//!
//! A request's body is held to its own schema before it is read, which names every part that cannot be used at once.

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Request, RequestBody, Response};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::{bounds, patterns};
use crate::problem::Problem;

/// The media type of everything but problems.
const JSON: &str = "application/json";

/// How many parts of a body are named that cannot be used.
const MAX_ERRORS: usize = 20;

/// A request's body.
#[derive(Debug)]
pub(crate) struct Body<T> {
    /// What it says.
    pub(crate) value: T,
    /// What tells it from another one.
    pub(crate) digest: Digest,
}

/// The SHA-256 of a request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// Returns the digest of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<T: JsonSchema + Send> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = JSON;

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(T::schema_name().into_owned())
    }
}

impl<T: DeserializeOwned + JsonSchema + Send + 'static> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let media_type = request
            .content_type()
            .map(|text| text.split(';').next().unwrap_or(text).trim());
        if !media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case(JSON)) {
            let given = media_type.unwrap_or("nothing");
            let detail = format!("the body has to be `{JSON}`; its `Content-Type` says {given}");
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_media_type", detail).into());
        }
        let bytes = body.take()?.into_bytes().await?;
        Ok(Self {
            value: read(&bytes)?,
            digest: Digest::of(&bytes),
        })
    }
}

impl<'a, T: DeserializeOwned + JsonSchema + Send + 'static> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        name_schema::<T>(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType {
                content_type: JSON,
                schema: <Self as Payload>::schema_ref(),
            }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        <Self as ParsePayload>::from_request(request, body).await
    }
}

/// Reads a body as its schema and its type say.
fn read<T: DeserializeOwned + JsonSchema + 'static>(bytes: &[u8]) -> Result<T, Problem> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| {
        let detail = format!("the body is no JSON: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "bad_json", detail)
    })?;
    let validator = validator::<T>();
    let mut problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "bad_body",
        "the body does not have the form that the operation takes; see `errors`",
    );
    let mut wrong = false;
    for error in validator.iter_errors(&value).take(MAX_ERRORS) {
        wrong = true;
        for error in meant(&error).into_iter().take(MAX_ERRORS) {
            problem = problem.at(pointer(error), in_words(error));
        }
    }
    if wrong {
        return Err(problem);
    }
    // Read from the text and not from the value, which would hide that a field stands twice.
    serde_json::from_slice(bytes).map_err(|error| problem.at("", shortened(&error.to_string())))
}

/// Returns what is wrong within the choice that was meant, where one of several was to be chosen: the one of which most was
/// right, if any was.
fn meant<'e>(error: &'e ValidationError<'_>) -> Vec<&'e ValidationError<'e>> {
    let (ValidationErrorKind::AnyOf { context: choices }
    | ValidationErrorKind::OneOfNotValid { context: choices }) = error.kind()
    else {
        return vec![error];
    };
    let depth = |error: &ValidationError<'_>| pointer(error).matches('/').count();
    let begun = choices
        .iter()
        .filter(|errors| errors.iter().any(|within| depth(within) > depth(error)));
    match begun.min_by_key(|errors| errors.len()) {
        Some(errors) => errors.iter().flat_map(meant).collect(),
        None => vec![error],
    }
}

/// Returns where the fault is: at the field that is missing or not known, not at the object around it.
fn pointer(error: &ValidationError<'_>) -> String {
    let place = error.instance_path();
    match error.kind() {
        ValidationErrorKind::Required { property } => match property.as_str() {
            Some(name) => format!("{place}/{name}"),
            None => place.to_string(),
        },
        ValidationErrorKind::AdditionalProperties { unexpected } => match unexpected.first() {
            Some(name) => format!("{place}/{name}"),
            None => place.to_string(),
        },
        _ => place.to_string(),
    }
}

/// Returns what is wrong, where a pattern does not say it to a reader.
fn in_words(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Pattern { pattern } => patterns::in_words(pattern).map(str::to_owned),
        _ => None,
    }
    .unwrap_or_else(|| shortened(&error.to_string()))
}

/// A validator's message shows what it met, which may be the whole body.
fn shortened(message: &str) -> String {
    const MOST: usize = 300;
    if message.len() <= MOST {
        return message.to_owned();
    }
    let (head, tail) = (
        message.floor_char_boundary(MOST - 100),
        message.ceil_char_boundary(message.len() - 100),
    );
    format!("{} … {}", &message[..head], &message[tail..])
}

/// Returns what holds bodies to the schema of their type, made once a type.
fn validator<T: JsonSchema + 'static>() -> Arc<Validator> {
    static VALIDATORS: LazyLock<RwLock<HashMap<TypeId, Arc<Validator>>>> = LazyLock::new(RwLock::default);
    let kept = VALIDATORS.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(validator) = kept.get(&TypeId::of::<T>()) {
        return Arc::clone(validator);
    }
    drop(kept);
    let schema = SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    bounds::add(&mut schema);
    let validator = jsonschema::validator_for(&schema).expect("derived schemas are valid");
    let validator = Arc::new(validator);
    VALIDATORS
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(TypeId::of::<T>(), Arc::clone(&validator));
    validator
}

/// An answer with a JSON body.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    value: T,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl<T> Reply<T> {
    /// Returns the answer of this body.
    pub(crate) fn new(value: T) -> Self {
        Self {
            value,
            headers: Vec::new(),
        }
    }

    /// Returns the answer with the entity tag by which later requests name this very state.
    #[must_use]
    pub(crate) fn tagged(mut self, tag: impl std::fmt::Display) -> Self {
        self.headers.push((header::ETAG, text(&format!("\"{tag}\""))));
        self
    }

    /// Marks an answer that was given before.
    #[must_use]
    pub(crate) fn replayed_if(mut self, replayed: bool) -> Self {
        if !replayed {
            return self;
        }
        self.headers.push((
            HeaderName::from_static("idempotency-replayed"),
            HeaderValue::from_static("true"),
        ));
        self
    }
}

/// Returns a header's value. What no header can hold, which no tag and no path of ours has, becomes empty.
fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn respond<T: Serialize>(status: StatusCode, reply: &Reply<T>) -> Response {
    let body = serde_json::to_vec(&reply.value).expect("answers are structs with text keys");
    let mut response = Response::builder().status(status).content_type(JSON).body(body);
    response.headers_mut().extend(reply.headers.iter().cloned());
    response
}

impl<T: Serialize + Send> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        respond(StatusCode::OK, &self)
    }
}

/// An answer that tells what was made, and where it is from now on.
#[derive(Debug)]
pub(crate) struct Created<T> {
    reply: Reply<T>,
}

impl<T> Created<T> {
    /// Returns the answer of what is now at `location`.
    pub(crate) fn at(location: impl std::fmt::Display, value: T) -> Self {
        let mut reply = Reply::new(value);
        reply
            .headers
            .push((header::LOCATION, text(&location.to_string())));
        Self { reply }
    }

    /// Marks an answer that was given before.
    #[must_use]
    pub(crate) fn replayed_if(self, replayed: bool) -> Self {
        Self {
            reply: self.reply.replayed_if(replayed),
        }
    }
}

impl<T: Serialize + Send> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        respond(StatusCode::CREATED, &self.reply)
    }
}

/// Tells the library that there is such a schema. The document gets the schema itself where it is put together.
fn name_schema<T: JsonSchema>(registry: &mut Registry) {
    registry
        .schemas
        .insert(T::schema_name().into_owned(), MetaSchema::new("object"));
}

fn response_of<T: JsonSchema>(
    status: u16,
    description: &'static str,
    headers: Vec<MetaHeader>,
) -> MetaResponses {
    MetaResponses {
        responses: vec![MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: JSON,
                schema: MetaSchemaRef::Reference(T::schema_name().into_owned()),
            }],
            headers,
        }],
    }
}

fn text_header(name: &str, description: &str, required: bool) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
    }
}

fn replayed_header() -> MetaHeader {
    let description = "`true` where the same `Idempotency-Key` was answered before: nothing was done anew.";
    text_header("Idempotency-Replayed", description, false)
}

impl<T: Serialize + JsonSchema + Send> ApiResponse for Reply<T> {
    fn meta() -> MetaResponses {
        let tag = text_header(
            "ETag",
            "Names this very state, for `If-Match`; not everywhere.",
            false,
        );
        let replayed = replayed_header();
        response_of::<T>(200, "As asked.", vec![tag, replayed])
    }

    fn register(registry: &mut Registry) {
        name_schema::<T>(registry);
    }
}

impl<T: Serialize + JsonSchema + Send> ApiResponse for Created<T> {
    fn meta() -> MetaResponses {
        let location = text_header("Location", "Where it is from now on.", true);
        let replayed = replayed_header();
        response_of::<T>(201, "It was made.", vec![location, replayed])
    }

    fn register(registry: &mut Registry) {
        name_schema::<T>(registry);
    }
}

/// An answer without a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done;

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl ApiResponse for Done {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "It was done.",
                status: Some(204),
                status_range: None,
                content: vec![],
                headers: vec![],
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub(crate) struct Page<T> {
    /// The items, in the list's order.
    pub(crate) items: Vec<T>,
    /// What to give as `cursor` for the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// Lets a path that is no UTF-8 be shown as text.
pub(crate) fn shown(path: &std::path::Path) -> String {
    match path.to_string_lossy() {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[schemars(length(min = 1, max = 5))]
        goal: String,
        #[serde(default)]
        priority: Option<i64>,
    }

    fn errors(body: &str) -> (StatusCode, String) {
        let problem = read::<Sample>(body.as_bytes()).unwrap_err();
        let status = problem.status();
        (status, format!("{problem:?}"))
    }

    #[test]
    fn a_body_is_held_to_its_schema_and_every_part_is_named() {
        let good = Sample {
            goal: "x".to_owned(),
            priority: None,
        };
        assert_eq!(read::<Sample>(br#"{"goal":"x"}"#).unwrap(), good);
        for (body, expected) in [
            (r#"{"goal":""}"#, "/goal"),
            (r#"{"goal":"too long"}"#, "/goal"),
            (r#"{"goal":"x","priority":"high"}"#, "/priority"),
            (r#"{"goal":"x","priority":9223372036854775808}"#, "/priority"),
            (r#"{"goal":"x","priority":-1e30}"#, "/priority"),
            (r#"{"goal":"x","other":1}"#, "\"/other\""),
            (r#"{"priority":1}"#, "\"/goal\""),
            (r#"{"goal":"x","goal":"y"}"#, "duplicate field"),
            (r#"{"goal":"x","priority":1e999}"#, ""),
            ("[]", "object"),
        ] {
            let (status, shown) = errors(body);
            assert!(status.is_client_error(), "{body}");
            assert!(shown.contains(expected), "{body}: {shown}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(errors(&deep).0, StatusCode::BAD_REQUEST);
        assert_eq!(errors("\u{7f}{").0, StatusCode::BAD_REQUEST);
    }
}
