//! Refuses bodies that are too large, by what they say and by what they are.

use poem::error::ReadBodyError;
use poem::http::header::CONTENT_LENGTH;
use poem::{Body, Endpoint, IntoResponse, Middleware, Request, Response, Result};

use crate::error::ApiError;

/// Bytes of a request body at most: 1 MiB.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of a webhook at most: 3 MiB, what Meta may send (Meta, webhooks).
pub const WEBHOOK_BYTES_MAX: usize = 3 << 20;

/// Bytes of a bulk send at most: 100 000 recipients, with some parameters.
pub const BULK_BYTES_MAX: usize = 8 << 20;

/// The middleware.
pub struct BodyLimit;

/// The middleware around an endpoint.
pub struct Limited<E>(E);

impl<E: Endpoint> Middleware<E> for BodyLimit {
    type Output = Limited<E>;

    fn transform(&self, endpoint: E) -> Self::Output {
        Limited(endpoint)
    }
}

impl<E: Endpoint> Endpoint for Limited<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let most = bytes_max(request.uri().path());
        let told = request.header(CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
        match told {
            Some(told) if told > most as u64 => return Err(ApiError::too_large().into()),
            // The server reads no more than the header says.
            Some(_) => {}
            None => {
                let body = request.take_body();
                request.set_body(read(body, most).await?);
            }
        }
        self.0.call(request).await.map(IntoResponse::into_response)
    }
}

/// Bytes the body of a request to this path has at most.
pub fn bytes_max(path: &str) -> usize {
    if path.starts_with("/api/webhook/") {
        WEBHOOK_BYTES_MAX
    } else if path.starts_with("/api/templates/bulk-send") {
        BULK_BYTES_MAX
    } else {
        BODY_BYTES_MAX
    }
}

/// A body without a length, read to its end.
async fn read(body: Body, most: usize) -> Result<Body, ApiError> {
    body.into_bytes_limit(most).await.map(Body::from_bytes).map_err(refusal)
}

/// What a body that cannot be read is answered.
pub fn refusal(error: ReadBodyError) -> ApiError {
    match error {
        ReadBodyError::PayloadTooLarge => ApiError::too_large(),
        error => ApiError::invalid("invalid_request", format!("the request body cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::http::StatusCode;
    use poem::{EndpointExt, endpoint};

    async fn status(path: &str, length: usize, told: bool) -> StatusCode {
        let echo = endpoint::make(|request: Request| async move { request.into_body().into_bytes().await.map(|_| "") });
        let request = Request::builder().method(poem::http::Method::POST).uri(path.parse().unwrap());
        let request = if told { request.header(CONTENT_LENGTH, length.to_string()) } else { request };
        let body = futures::stream::iter(vec![Ok::<_, std::io::Error>(vec![0_u8; length])]);
        let request = request.body(Body::from_bytes_stream(body));
        match echo.with(BodyLimit).call(request).await {
            Ok(response) => response.status(),
            Err(error) => error.into_response().status(),
        }
    }

    #[tokio::test]
    async fn bodies_end_where_the_limit_is() {
        for told in [true, false] {
            assert_eq!(status("/api/flows", BODY_BYTES_MAX, told).await, StatusCode::OK);
            assert_eq!(status("/api/flows", BODY_BYTES_MAX + 1, told).await, StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(status("/api/webhook/whatsapp", WEBHOOK_BYTES_MAX, told).await, StatusCode::OK);
            assert_eq!(
                status("/api/webhook/whatsapp", WEBHOOK_BYTES_MAX + 1, told).await,
                StatusCode::PAYLOAD_TOO_LARGE
            );
        }
    }
}
