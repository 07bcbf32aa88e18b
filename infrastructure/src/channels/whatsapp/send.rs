//! Messages out through the Graph API, and what each answer, or the lack of one, means.

use application::channels::{Accepted, Channel, Line, SendError};
use async_trait::async_trait;
use domain::shared::channel::Address;
use domain::shared::content::OutboundContent;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::{body, errors, wire};

/// The WhatsApp Cloud API as a channel.
#[derive(Debug, Clone)]
pub struct WhatsApp {
    http: reqwest::Client,
    root: String,
}

impl WhatsApp {
    /// The API at `base_url` (`https://graph.facebook.com`, or a sandbox) in one `version`, such as `v24.0`.
    pub fn new(http: reqwest::Client, base_url: &str, version: &str) -> Self {
        Self { http, root: format!("{}/{}", base_url.trim_end_matches('/'), version.trim_matches('/')) }
    }

    /// Posts a body to the line's `messages` edge; the bytes of the answer if Meta took it.
    async fn post(&self, line: &Line, body: &Value) -> Result<Vec<u8>, SendError> {
        let url = self.url(line)?;
        let request = self.http.post(url).bearer_auth(&line.access_token).json(body);
        let answer = request.send().await.map_err(without_answer)?;
        let (status, wait) = (answer.status(), retry_after_ms(answer.headers()));
        let bytes = answer.bytes().await;
        if let Some(error) = bytes.as_ref().ok().and_then(|bytes| errors::from_graph(bytes, status.as_u16())) {
            return Err(SendError::Refused { error, retry_after_ms: wait });
        }
        if let Some(error) = without_error_body(status, wait) {
            return Err(error);
        }
        bytes.map(Vec::from).map_err(|error| SendError::InDoubt(told(error)))
    }

    /// The edge's address. The id of the line becomes a part of the path, so it may not hold a slash.
    fn url(&self, line: &Line) -> Result<String, SendError> {
        let id = &line.phone_number_id;
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            return Err(unsendable("the line has no usable phone number id"));
        }
        Ok(format!("{}/{id}/messages", self.root))
    }
}

#[async_trait]
impl Channel for WhatsApp {
    async fn send(
        &self,
        line: &Line,
        to: &Address,
        content: &OutboundContent,
        correlation: &str,
    ) -> Result<Accepted, SendError> {
        let body = body::message(to, content, correlation)
            .ok_or_else(|| unsendable("the recipient has neither a number nor a user id"))?;
        let answer = self.post(line, &body).await?;
        id_of(&answer).ok_or_else(|| SendError::InDoubt("the answer holds no message id".to_owned()))
    }

    async fn mark_read(&self, line: &Line, provider_message_id: &str, typing: bool) -> Result<(), SendError> {
        self.post(line, &body::read(provider_message_id, typing)).await.map(|_| ())
    }
}

fn id_of(answer: &[u8]) -> Option<Accepted> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let message = wire::elements(answer.get("messages")).first()?;
    wire::text(message, &["id"]).map(|provider_message_id| Accepted { provider_message_id })
}

/// No answer: the request never left if it could not be built or no connection came about; else no one knows.
fn without_answer(error: reqwest::Error) -> SendError {
    if error.is_connect() || error.is_builder() {
        SendError::NotSent(told(error))
    } else {
        SendError::InDoubt(told(error))
    }
}

/// An answer without a Graph error in it. Something between us and Meta may have spoken: what says that the
/// server failed or gave up waiting leaves the outcome open, the rest is a no.
fn without_error_body(status: StatusCode, retry_after_ms: Option<u64>) -> Option<SendError> {
    if status.is_success() {
        return None;
    }
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        return Some(SendError::InDoubt(format!("HTTP {} without a Graph error", status.as_u16())));
    }
    Some(SendError::Refused { error: errors::of_status(status.as_u16()), retry_after_ms })
}

/// `Retry-After` in seconds; the form with a date is not used by Meta.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    seconds.checked_mul(1_000)
}

fn unsendable(why: &str) -> SendError {
    SendError::Refused { error: errors::unsendable(why), retry_after_ms: None }
}

/// An error with its causes, without the address it was sent to.
pub(super) fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
