//! One log line, one counter and one id per request.

use std::time::Instant;

use poem::PathPattern;
use poem::http::{HeaderName, HeaderValue};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response, Result};
use poem_openapi::OperationId;
use tracing::Instrument;
use uuid::Uuid;

/// The header of the request's id: taken over when a client sends a UUID, and always sent back.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request's id; the correlation id of everything it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(pub Uuid);

/// The middleware.
pub struct Observe;

/// The middleware around an endpoint.
pub struct Observed<E>(E);

impl<E: Endpoint> Middleware<E> for Observe {
    type Output = Observed<E>;

    fn transform(&self, endpoint: E) -> Self::Output {
        Observed(endpoint)
    }
}

impl<E: Endpoint> Endpoint for Observed<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let began = Instant::now();
        let method = request.method().clone();
        let sent = request.header(REQUEST_ID).and_then(|text| Uuid::parse_str(text).ok());
        let id = sent.unwrap_or_else(Uuid::now_v7);
        request.set_data(RequestId(id));
        let span = tracing::info_span!("request", %id);
        async {
            let mut response = match self.0.call(request).await {
                Ok(response) => response.into_response(),
                Err(error) => error.into_response(),
            };
            if let Ok(value) = HeaderValue::try_from(id.to_string()) {
                response.headers_mut().insert(REQUEST_ID, value);
            }
            record(method.as_str(), &route(&response), response.status().as_u16(), began);
            Ok(response)
        }
        .instrument(span)
        .await
    }
}

/// What was called: never the path itself, which may hold a phone.
fn route(response: &Response) -> String {
    let operation = response.data::<OperationId>().map(|id| id.0.to_owned());
    operation
        .or_else(|| response.data::<PathPattern>().map(|it| it.0.to_string()))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn record(method: &str, route: &str, status: u16, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    let labels = [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.to_string())];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", "route" => route.to_owned()).record(seconds);
    let ms = (seconds * 1_000.0).round();
    // What machines call all day is for those who ask for it.
    let busy =
        status < 400 && (route == "receiveWhatsappWebhook" || route.starts_with("/sandbox") || route == "/healthz");
    if busy {
        tracing::debug!(method, route, status, ms, "{method} {route} {status} in {ms} ms");
    } else {
        tracing::info!(method, route, status, ms, "{method} {route} {status} in {ms} ms");
    }
}
