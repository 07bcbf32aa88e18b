//! Meta's WhatsApp Cloud API, played over real HTTP, so that the whole product can be tried without Meta.
//! The routes are mounted at `/sandbox`; `GET /sandbox` lists them with these rules:
//!
//! - `+15559` and a six-digit code, such as `+15559131056`: the request is refused with that code of Meta's
//!   (shorter codes are filled up: `+15559000190`).
//! - `+15569` and a six-digit code: the message is accepted, and a `failed` status with that code follows.
//! - `+1557…0001`: statuses arrive as read, delivered, sent. `…0002`: every webhook arrives twice.
//!   `…0003`: takes effect, but the answer comes after 60 s. `…0004`: HTTP 500 without effect.
//! - A template whose name ends in `_` and a six-digit code is refused with that code.
//! - A template that was submitted here and is not approved is refused: paused with 132015, disabled with 132016, else
//!   with 132001.
//! - Submitting a template whose name ends in `_` and a seven-digit code is refused with that subcode.
//! - `POST templates/{name}` approves, rejects, pauses, recategorises or changes a template, and Meta tells by webhook.
//! - The bearer token `expired` is refused with 190.
//! - Google and Facebook vouch for whom one likes: `POST /sandbox/google/tokens` and `facebook/tokens` with a `sub`.
//! - What is no template fails with 131047 unless the customer wrote to the line within 24 hours.
//!
//! Beside it stands a mail server: `GET /sandbox/mailbox?to=` shows what came in (see [`mail`]).
//!
//! Webhooks are signed over their exact bytes and retried up to seven times. Everything is kept in memory.

pub mod mail;
pub mod variants;

mod meta_check;
mod meta_inbound;
mod meta_numbers;
mod meta_phones;
mod meta_template_check;
mod meta_template_control;
mod meta_template_routes;
mod meta_templates;
mod meta_webhooks;
mod social;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use domain::shared::delivery::DeliveryStatus;
use poem::http::{HeaderMap, StatusCode};
use poem::web::{Data, Json, Path, Query};
use poem::{Body, EndpointExt, IntoEndpoint, IntoResponse, Response, Route, get, handler, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::meta_check::{Outgoing, Refusal, Wish};
use self::meta_inbound::Writing;
use self::meta_numbers::Behaviour;
use self::meta_phones::{Phones, Shown};
use self::meta_templates::Templates;
use self::meta_webhooks::{Notice, Parcel, Told};
use self::social::SocialSandbox;
use crate::http_client;

const BODY_LIMIT: usize = 1 << 20;
const LATE_BY: Duration = Duration::from_secs(60);
const WINDOW_CLOSED: i64 = 131_047;
const QUEUED_PARCELS: usize = 4_096;
const MOST_DELIVERIES: usize = 100;

/// How the sandbox is set up.
#[derive(Clone)]
pub struct SandboxConfig {
    /// The app secret that signs its webhooks.
    pub app_secret: String,
    /// Where webhooks go, such as `http://127.0.0.1:8080/api/webhook/whatsapp`.
    pub webhook_url: String,
    /// How long before each status.
    pub status_delay_ms: u64,
    /// Our app at Facebook.
    pub app_id: String,
    /// Our client at Google.
    pub google_client_id: String,
}

/// The stand-in for Meta.
pub struct MetaSandbox {
    shared: Arc<Shared>,
    parcels: mpsc::Sender<Parcel>,
}

/// What requests and the background task both use.
struct Shared {
    config: SandboxConfig,
    http: reqwest::Client,
    phones: Mutex<Phones>,
    templates: Mutex<Templates>,
}

impl Shared {
    /// The templates, as the phones.
    fn templates(&self) -> MutexGuard<'_, Templates> {
        self.templates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The phones. A panic elsewhere leaves them usable: every change is complete in itself.
    fn phones(&self) -> MutexGuard<'_, Phones> {
        self.phones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetaSandbox {
    /// A sandbox with its background task, which ends with it. To be called within a tokio runtime.
    pub fn new(config: SandboxConfig) -> Self {
        let http = http_client::client(http_client::DEFAULT_TIMEOUT);
        let shared = Arc::new(Shared { config, http, phones: Mutex::default(), templates: Mutex::default() });
        let (parcels, receiver) = mpsc::channel(QUEUED_PARCELS);
        tokio::spawn(meta_webhooks::run(Arc::clone(&shared), receiver));
        Self { shared, parcels }
    }

    /// The routes, relative to where they are mounted.
    pub fn routes(self: Arc<Self>) -> impl IntoEndpoint {
        let social = Arc::new(SocialSandbox::new(self.shared.config.clone()));
        meta_template_routes::add(SocialSandbox::beside(Route::new()))
            .at("/", get(help))
            .at("/graph/:version/:node/messages", post(graph_messages))
            .at("/customers", get(customers))
            .at("/customers/:phone/messages", get(phone_shows).post(customer_writes))
            .data(social)
            .data(self)
    }

    /// A message passed the checks: it appears on the phone, and its statuses are on their way.
    async fn accept(&self, line: &str, message: Outgoing) -> Result<Response, Refusal> {
        let customer = key_of(&message.input);
        let behaviour = meta_numbers::of_digits(&customer);
        if let Behaviour::Refuses(code) = behaviour {
            return Err(Refusal::new(code, format!("the number {customer} asks for it")));
        }
        if behaviour == Behaviour::Broken {
            return Ok("Internal Server Error".with_status(StatusCode::INTERNAL_SERVER_ERROR).into_response());
        }
        if message.kind == "template" {
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (name, language) = (word(&message.content["name"]), word(&message.content["language"]["code"]));
            if let Some(code) = self.shared.templates().refusal(&name, &language) {
                return Err(Refusal::new(code, format!("template `{name}`")));
            }
        }
        let wamid = new_wamid();
        let open = message.kind == "template" || self.shared.phones().window_open(&customer, line, Utc::now());
        let answer = json!({
            "messaging_product": "whatsapp",
            "contacts": [{ "input": message.input, contact_key(&customer): customer }],
            "messages": [{ "id": wamid, "message_status": "accepted" }],
        });
        let told = Told {
            customer: customer.clone(),
            line: line.to_owned(),
            wamid: wamid.clone(),
            status: DeliveryStatus::Sent,
            code: None,
            correlation: message.correlation.clone(),
        };
        self.shared.phones().show(&customer, line, shown_out(wamid, message));
        self.dispatch(self.statuses(behaviour, open, &told)).await;
        if behaviour == Behaviour::Late {
            tokio::time::sleep(LATE_BY).await;
        }
        Ok(Json(answer).into_response())
    }

    /// The statuses of an accepted message, in the order they will arrive.
    fn statuses(&self, behaviour: Behaviour, window_open: bool, told: &Told) -> Parcel {
        use DeliveryStatus::{Delivered, Failed, Read, Sent};
        let code = match behaviour {
            Behaviour::Fails(code) => Some(code),
            Behaviour::Normal
            | Behaviour::Refuses(_)
            | Behaviour::OutOfOrder
            | Behaviour::Twice
            | Behaviour::Late
            | Behaviour::Broken => (!window_open).then_some(WINDOW_CLOSED),
        };
        let order: &[DeliveryStatus] = if code.is_some() {
            &[Failed]
        } else if behaviour == Behaviour::OutOfOrder {
            &[Read, Delivered, Sent]
        } else {
            &[Sent, Delivered, Read]
        };
        let copies = if behaviour == Behaviour::Twice { 2 } else { 1 };
        let delay = Duration::from_millis(self.shared.config.status_delay_ms);
        let each = |status: &DeliveryStatus| {
            let told = Told { status: *status, code, ..told.clone() };
            Notice { delay, body: meta_webhooks::of_status(&told), copies, told: Some(told) }
        };
        order.iter().map(each).collect()
    }

    async fn dispatch(&self, parcel: Parcel) {
        if self.parcels.send(parcel).await.is_err() {
            tracing::error!("the sandbox's background task is gone");
        }
    }

    /// A customer's message: on the phone, then to the webhook. What is not taken at once is tried again later.
    async fn write_in(&self, customer: &str, writing: Writing, deliveries: usize) -> Result<Value, &'static str> {
        let line = writing.phone_number_id.clone();
        let answers = self.shared.phones().last_out(customer, &line);
        let message = meta_inbound::message(customer, &new_wamid(), &writing, answers)?;
        let wamid = message["id"].as_str().unwrap_or_default().to_owned();
        let name = {
            let mut phones = self.shared.phones();
            phones.show(customer, &line, shown_in(&wamid, &message));
            phones.named(customer, writing.name)
        };
        let contact = meta_inbound::contact(customer, &name);
        let body = meta_webhooks::of_line(&line, json!({ "contacts": [contact], "messages": [message] }));
        let mut status = None;
        for _ in 0..deliveries {
            status = meta_webhooks::deliver(&self.shared, &body).await;
        }
        if !meta_webhooks::is_taken(status) {
            self.dispatch(vec![Notice { delay: Duration::from_secs(1), body, copies: 1, told: None }]).await;
        }
        Ok(json!({ "wamid": wamid, "webhookStatus": status }))
    }
}

fn shown_out(wamid: String, message: Outgoing) -> Shown {
    Shown {
        wamid,
        direction: "out",
        kind: message.kind,
        content: message.content,
        at: Utc::now(),
        status: Some(DeliveryStatus::Queued),
        error_code: None,
        correlation: message.correlation,
    }
}

fn shown_in(wamid: &str, message: &Value) -> Shown {
    let kind = message["type"].as_str().unwrap_or("unknown").to_owned();
    let content = message.get(&kind).unwrap_or(message).clone();
    let wamid = wamid.to_owned();
    Shown { wamid, direction: "in", kind, content, at: Utc::now(), status: None, error_code: None, correlation: None }
}

/// Numbers are known by their digits, user ids as they are.
fn key_of(written: &str) -> String {
    if meta_webhooks::is_user_id(written) {
        return written.to_owned();
    }
    written.chars().filter(char::is_ascii_digit).collect()
}

fn contact_key(customer: &str) -> &'static str {
    if meta_webhooks::is_user_id(customer) { "user_id" } else { "wa_id" }
}

fn new_wamid() -> String {
    format!("wamid.{}", STANDARD.encode(uuid::Uuid::new_v4().as_bytes()))
}

#[handler]
fn help() -> Json<Value> {
    Json(meta_numbers::help())
}

#[handler]
async fn graph_messages(
    Path((_version, line)): Path<(String, String)>,
    headers: &HeaderMap,
    body: Body,
    Data(sandbox): Data<&Arc<MetaSandbox>>,
) -> Response {
    take(sandbox, &line, headers, body).await.unwrap_or_else(|refusal| told(&refusal))
}

/// A refusal as Graph tells it.
fn told(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    Json(refusal.body(&new_wamid()[6..])).with_status(status).into_response()
}

/// Whether the request has a token, which is all that is asked of it.
fn known(headers: &HeaderMap) -> Result<(), Refusal> {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok());
    let token = header.and_then(|it| it.strip_prefix("Bearer ").or_else(|| it.strip_prefix("OAuth ")));
    if token.is_none_or(|token| token.is_empty() || token == "expired") {
        return Err(Refusal::new(190, "no usable access token"));
    }
    Ok(())
}

async fn take(sandbox: &MetaSandbox, line: &str, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    known(headers)?;
    let bytes = body.into_bytes_limit(BODY_LIMIT).await.map_err(|error| Refusal::new(100, error.to_string()))?;
    match meta_check::check(&bytes)? {
        Wish::Read { message_id } => {
            sandbox.shared.phones().read_on(line, &message_id);
            Ok(Json(json!({ "success": true })).into_response())
        }
        Wish::Message(message) => sandbox.accept(line, message).await,
    }
}

#[derive(Deserialize)]
struct Deliveries {
    deliveries: Option<usize>,
}

#[handler]
async fn customer_writes(
    Path(phone): Path<String>,
    Query(Deliveries { deliveries }): Query<Deliveries>,
    Json(writing): Json<Writing>,
    Data(sandbox): Data<&Arc<MetaSandbox>>,
) -> Response {
    let deliveries = deliveries.unwrap_or(1).clamp(1, MOST_DELIVERIES);
    match sandbox.write_in(&key_of(&phone), writing, deliveries).await {
        Ok(answer) => Json(answer).into_response(),
        Err(why) => Json(json!({ "message": why })).with_status(StatusCode::BAD_REQUEST).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfLine {
    phone_number_id: Option<String>,
}

#[handler]
fn phone_shows(
    Path(phone): Path<String>,
    Query(OfLine { phone_number_id }): Query<OfLine>,
    Data(sandbox): Data<&Arc<MetaSandbox>>,
) -> Json<Value> {
    Json(json!(sandbox.shared.phones().view(&key_of(&phone), phone_number_id.as_deref())))
}

#[handler]
fn customers(Data(sandbox): Data<&Arc<MetaSandbox>>) -> Json<Value> {
    Json(json!(sandbox.shared.phones().customers()))
}

#[cfg(test)]
mod tests;
