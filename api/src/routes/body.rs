//! JSON bodies, refused with everything that is wrong about them.

mod diagnosis;

use std::ops::Deref;

use domain::shared::nulls::has_null;
use poem::{Request, RequestBody, Result};
use poem_openapi::error::{ContentTypeError, ParseRequestPayloadError};
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::{MaybeUndefined, ParseFromJSON};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::Value;

use crate::error::ApiError;

/// A JSON body. Unlike [`Json`], it names every missing, unknown and mistyped field of what it refuses.
pub struct Body<T>(pub T);

impl<T> Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: Json::<T>::CONTENT_TYPE, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(request: &'a Request, body: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        of(request, body.take()?.into_vec().await?).map(Self)
    }
}

fn of<T: ParseFromJSON>(request: &Request, bytes: Vec<u8>) -> Result<T> {
    if !request.content_type().is_some_and(Json::<T>::check_content_type) {
        return Err(ContentTypeError::ExpectContentType.into());
    }
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::invalid("invalid_request", format!("the body is not JSON: {error}")))?;
    without_null(&value)?;
    read(value)
}

/// What a part of a change asks for: absent, nothing; `null`, that it goes; else what it is to be.
pub fn patch<T>(part: MaybeUndefined<T>) -> Option<Option<T>> {
    match part {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// A JSON body that may be left out altogether.
pub struct OptionalBody<T>(pub Option<T>);

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for OptionalBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Body::<T>::request_meta().map(|meta| MetaRequest { required: false, ..meta })
    }

    async fn from_request(request: &'a Request, body: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let bytes = body.take()?.into_vec().await?;
        if bytes.is_empty() || bytes.trim_ascii() == b"null" {
            return Ok(Self(None));
        }
        of(request, bytes).map(|body| Self(Some(body)))
    }
}

/// No text may contain the null character.
///
/// # Errors
/// One does.
pub fn without_null(value: &Value) -> Result<(), ApiError> {
    if has_null(value) {
        return Err(ApiError::invalid(
            "invalid_request",
            "the body contains the null character, which no text may contain",
        ));
    }
    Ok(())
}

fn read<T: ParseFromJSON>(value: Value) -> Result<T> {
    let problems = diagnosis::of::<T>(&value);
    if problems.is_empty() {
        let unread =
            |error: poem_openapi::types::ParseError<T>| ParseRequestPayloadError { reason: error.into_message() };
        return Ok(T::parse_from_json(Some(value)).map_err(unread)?);
    }
    let words = problems.iter().map(|it| if it.field.is_some() { it.to_string() } else { format!("the body {it}") });
    let words: Vec<String> = words.collect();
    let mut refusal = ApiError::invalid("invalid_request", words.join("; "));
    refusal.body.problems = Some(problems);
    Err(refusal.into())
}

#[cfg(test)]
mod tests {
    use poem::http::StatusCode;
    use poem_openapi::Object;
    use serde_json::json;

    use super::*;

    #[derive(Object)]
    #[oai(deny_unknown_fields)]
    struct Part {
        id: String,
    }

    #[derive(Object)]
    #[oai(deny_unknown_fields)]
    struct Whole {
        #[oai(validator(min_length = 1, max_length = 3))]
        name: String,
        count: Option<u32>,
        parts: Option<Vec<Part>>,
        data: Option<Value>,
    }

    async fn refused(body: Value) -> Value {
        let error = read::<Whole>(body).err().unwrap();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        let body: Value = error.into_response().into_body().into_json().await.unwrap();
        body["problems"].as_array().map(|all| all.iter().map(|it| it["field"].clone()).collect()).unwrap()
    }

    #[tokio::test]
    async fn everything_wrong_is_named_at_once() {
        assert_eq!(refused(json!({})).await, json!(["name"]));
        assert_eq!(refused(json!({"name": 1, "colour": 2, "count": "x"})).await, json!(["colour", "name", "count"]));
        assert_eq!(refused(json!({"name": "abcd"})).await, json!(["name"]));
        assert_eq!(refused(json!({"name": "", "count": -1})).await, json!(["name", "count"]));
        assert_eq!(
            refused(json!({"name": "a", "parts": [{"id": "1"}, {"x": 1}]})).await,
            json!(["parts[1].x", "parts[1].id"])
        );
        assert_eq!(refused(json!([])).await, json!([null]));
    }

    #[test]
    fn what_is_right_is_read() {
        let whole: Whole = read(json!({"name": "אבג", "count": null, "data": {"any": ["thing"]}})).unwrap();
        assert_eq!((whole.name.as_str(), whole.count, whole.parts.is_none()), ("אבג", None, true));
        assert_eq!(whole.data, Some(json!({"any": ["thing"]})));
    }
}
