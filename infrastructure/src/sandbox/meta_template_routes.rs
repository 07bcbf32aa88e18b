//! The addresses of the played template endpoints, and of those who decide about templates.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use poem::http::{HeaderMap, StatusCode};
use poem::web::{Data, Json, Path, Query};
use poem::{Body, IntoResponse, Response, Route, get, handler, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::meta_check::Refusal;
use super::meta_template_control::{Decision, decide};
use super::meta_templates::Wanted;
use super::meta_webhooks::{self, Notice};
use super::{BODY_LIMIT, MOST_DELIVERIES, MetaSandbox, known, told};

/// With the template endpoints.
pub(super) fn add(routes: Route) -> Route {
    routes
        .at("/graph/:version/:node/message_templates", get(list).post(create).delete(delete))
        .at("/graph/:version/:node/uploads", post(begin_upload))
        .at("/graph/:version/:node", post(end_upload))
        .at("/templates", get(there))
        .at("/templates/:name", post(somebody_decides))
        .at("/accounts/:waba/templates", post(made_elsewhere))
        .at("/accounts/:waba/usage", post(set_usage))
}

type Sandbox<'a> = Data<&'a Arc<MetaSandbox>>;

/// What Graph answers about an account, with how much of its quota is used.
fn answer(sandbox: &MetaSandbox, waba: &str, done: Result<Value, Refusal>) -> Response {
    let mut response = match done {
        Ok(value) => Json(value).into_response(),
        Err(refusal) => told(&refusal),
    };
    let usage = sandbox.shared.templates().usage(waba);
    if let Some(usage) = usage.and_then(|usage| usage.parse().ok()) {
        response.headers_mut().insert("x-business-use-case-usage", usage);
    }
    response
}

async fn bytes(body: Body) -> Result<Vec<u8>, Refusal> {
    let bytes = body.into_bytes_limit(BODY_LIMIT).await.map_err(|error| Refusal::new(100, error.to_string()))?;
    Ok(bytes.to_vec())
}

#[handler]
async fn create(
    Path((_version, waba)): Path<(String, String)>,
    headers: &HeaderMap,
    body: Body,
    Data(sandbox): Sandbox<'_>,
) -> Response {
    let body = bytes(body).await;
    let done = known(headers).and(body).and_then(|body| sandbox.shared.templates().create(&waba, &body, Utc::now()));
    answer(sandbox, &waba, done)
}

#[handler]
fn list(
    Path((_version, waba)): Path<(String, String)>,
    headers: &HeaderMap,
    Query(wanted): Query<Wanted>,
    Data(sandbox): Sandbox<'_>,
) -> Response {
    let done = known(headers).map(|()| sandbox.shared.templates().list(&waba, &wanted));
    answer(sandbox, &waba, done)
}

#[derive(Deserialize)]
struct Unwanted {
    name: String,
    hsm_id: Option<String>,
}

#[handler]
fn delete(
    Path((_version, waba)): Path<(String, String)>,
    headers: &HeaderMap,
    Query(Unwanted { name, hsm_id }): Query<Unwanted>,
    Data(sandbox): Sandbox<'_>,
) -> Response {
    let done = known(headers)
        .and_then(|()| sandbox.shared.templates().delete(&waba, &name, hsm_id.as_deref(), Utc::now()))
        .map(|()| json!({ "success": true }));
    answer(sandbox, &waba, done)
}

#[derive(Deserialize)]
struct File {
    file_length: usize,
}

#[handler]
fn begin_upload(headers: &HeaderMap, Query(File { file_length }): Query<File>, Data(sandbox): Sandbox<'_>) -> Response {
    let done = known(headers).map(|()| sandbox.shared.templates().begin_upload(file_length));
    answer(sandbox, "", done)
}

#[handler]
async fn end_upload(
    Path((_version, session)): Path<(String, String)>,
    headers: &HeaderMap,
    body: Body,
    Data(sandbox): Sandbox<'_>,
) -> Response {
    let body = bytes(body).await;
    let done = known(headers).and(body).and_then(|body| sandbox.shared.templates().end_upload(&session, body.len()));
    answer(sandbox, "", done)
}

#[handler]
fn there(Data(sandbox): Sandbox<'_>) -> Json<Value> {
    Json(sandbox.shared.templates().view())
}

#[handler]
async fn somebody_decides(
    Path(name): Path<String>,
    Json(wish): Json<Decision>,
    Data(sandbox): Sandbox<'_>,
) -> Response {
    let told = decide(&mut sandbox.shared.templates(), &name, &wish);
    let telling = match told {
        Ok(telling) => telling,
        Err(why) => return Json(json!({ "message": why })).with_status(StatusCode::BAD_REQUEST).into_response(),
    };
    let mut status = None;
    if let Some(telling) = telling {
        let body = meta_webhooks::of_account(&telling.waba, telling.field, &telling.value);
        for _ in 0..telling.deliveries.clamp(1, MOST_DELIVERIES) {
            status = meta_webhooks::deliver(&sandbox.shared, &body).await;
        }
        if !meta_webhooks::is_taken(status) {
            sandbox.dispatch(vec![Notice { delay: Duration::from_secs(1), body, copies: 1, told: None }]).await;
        }
    }
    Json(json!({ "webhookStatus": status })).into_response()
}

#[handler]
fn made_elsewhere(Path(waba): Path<String>, Json(row): Json<Value>, Data(sandbox): Sandbox<'_>) -> Json<Value> {
    sandbox.shared.templates().put(&waba, &row);
    Json(json!({ "success": true }))
}

#[derive(Deserialize)]
struct Quota {
    percent: Option<u64>,
}

#[handler]
fn set_usage(
    Path(waba): Path<String>,
    Json(Quota { percent }): Json<Quota>,
    Data(sandbox): Sandbox<'_>,
) -> Json<Value> {
    sandbox.shared.templates().set_usage(&waba, percent);
    Json(json!({ "success": true }))
}
