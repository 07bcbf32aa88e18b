//! Everything the framework refuses by itself, in the one shape errors leave in.

use std::sync::Arc;

use poem::http::{StatusCode, header};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response, Result};
use poem_openapi::OperationId;
use poem_openapi::error::{ContentTypeError, ParseParamError, ParseRequestPayloadError};

use crate::error::ApiError;
use crate::middleware::allow::Methods;

/// The middleware.
pub struct UniformErrors(pub Arc<Methods>);

/// The middleware around an endpoint.
pub struct Uniform<E> {
    inner: E,
    methods: Arc<Methods>,
}

impl<E: Endpoint> Middleware<E> for UniformErrors {
    type Output = Uniform<E>;

    fn transform(&self, inner: E) -> Self::Output {
        Uniform { inner, methods: self.0.clone() }
    }
}

impl<E: Endpoint> Endpoint for Uniform<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let path = request.original_uri().path().to_owned();
        match self.inner.call(request).await {
            Ok(response) => Ok(response.into_response()),
            Err(error) if error.is_from_response() => Ok(error.into_response()),
            Err(error) => {
                let operation = error.data::<OperationId>().copied();
                let mut response = self.explain(&error, &path).into_response();
                if let Some(operation) = operation {
                    response.set_data(operation);
                }
                Ok(response)
            }
        }
    }
}

impl<E> Uniform<E> {
    fn explain(&self, error: &poem::Error, path: &str) -> ApiError {
        if let Some(wrong) = error.downcast_ref::<ParseParamError>() {
            return ApiError::invalid("invalid_request", format!("parameter `{}`: {}", wrong.name, wrong.reason));
        }
        if let Some(wrong) = error.downcast_ref::<ParseRequestPayloadError>() {
            return ApiError::invalid("invalid_request", format!("body: {}", reworded(&wrong.reason)));
        }
        if error.is::<ContentTypeError>() {
            let words = "the body must be JSON: send `Content-Type: application/json`";
            return ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type", words);
        }
        match error.status() {
            StatusCode::NOT_FOUND => ApiError::new(StatusCode::NOT_FOUND, "unknown_path", "there is no such path"),
            StatusCode::METHOD_NOT_ALLOWED => {
                let words = "this path has no such method";
                ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", words)
                    .with(header::ALLOW, self.methods.at(path))
            }
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(),
            StatusCode::UNAUTHORIZED => ApiError::unauthorized("sign in, or send a Bearer token"),
            status if status.is_client_error() => ApiError::new(status, "invalid_request", error.to_string()),
            status => {
                tracing::error!(%error, %status, "A request failed inside");
                ApiError::internal()
            }
        }
    }
}

/// Without the name of the type it was read as.
fn reworded(reason: &str) -> &str {
    reason.split(" (occurred while parsing").next().unwrap_or(reason).trim()
}
