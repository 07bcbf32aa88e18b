//! Templates at the Graph API: submit, list, delete, upload a sample; and what each answer, or the lack of one, means.

use std::sync::Arc;
use std::time::Duration;

use application::templates::accounts::BusinessAccount;
use application::templates::ports::{About, Listed, ListedPage, ProviderFailure, Sample, Taken, TemplateProvider};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::template::Quality;
use domain::template::approval::{Rejection, Status};
use domain::template::category::Category;
use domain::template::command::{Draft, Listing};
use domain::template::components;
use domain::template::placeholders::Naming;
use reqwest::header::{AUTHORIZATION, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use super::{errors, send, wire};
use crate::http_client;
use crate::postgres::template_accounts::{PgTemplateAccounts, Usage};

/// How long Meta may take for an answer somebody waits for.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Templates of a page.
const PAGE: &str = "100";
/// What is asked of each template.
const FIELDS: &str = "id,name,language,status,category,components,quality_score,rejected_reason,rejection_info";
/// Seconds to wait when Meta says too much at once, and not for how long.
const WAIT_SEC: u64 = 60;
/// The app of the access token, as Graph calls it.
const OWN_APP: &str = "app";

/// Meta's templates.
pub struct GraphTemplates {
    http: reqwest::Client,
    root: String,
    app_id: Option<String>,
    accounts: Arc<PgTemplateAccounts>,
}

impl GraphTemplates {
    /// The API at `base_url` in one `version`. Samples are uploaded for `app_id`, else for the token's own app.
    pub fn new(base_url: &str, version: &str, app_id: Option<String>, accounts: Arc<PgTemplateAccounts>) -> Self {
        let root = format!("{}/{}", base_url.trim_end_matches('/'), version.trim_matches('/'));
        Self { http: http_client::client(TIMEOUT), root, app_id, accounts }
    }

    fn edge(&self, account: &BusinessAccount) -> String {
        format!("{}/{}/message_templates", self.root, account.waba_id)
    }

    /// Sends a request; the answer's JSON if Meta did it. Every call counts against the account's quota.
    async fn ask(&self, account: &BusinessAccount, request: RequestBuilder) -> Result<Value, ProviderFailure> {
        let answer = request.send().await;
        let usage = answer.as_ref().ok().and_then(|answer| usage(answer.headers()));
        if let Err(error) = self.accounts.called(account.tenant, &account.waba_id, usage).await {
            tracing::warn!(%error, "A call to Meta was not counted");
        }
        read(answer.map_err(without_answer)?).await
    }
}

fn without_answer(error: reqwest::Error) -> ProviderFailure {
    let not_sent = error.is_connect() || error.is_builder();
    let why = send::told(error);
    if not_sent { ProviderFailure::NotSent(why) } else { ProviderFailure::InDoubt(why) }
}

async fn read(answer: Response) -> Result<Value, ProviderFailure> {
    let (status, wait) = (answer.status(), wait_sec(answer.headers()));
    let bytes = answer.bytes().await.map_err(|error| ProviderFailure::InDoubt(send::told(error)))?;
    if let Some(mut error) = errors::from_graph(&bytes, status.as_u16()) {
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let subcode = wire::integer(&body, &["error", "error_subcode"]);
        let about = about(error.code, subcode);
        if let Some(subcode) = subcode.filter(|_| about != About::Else) {
            error.code = subcode;
        }
        let wait_sec = (about == About::Quantity && errors::scope(error.code) == errors::Scope::Line).then_some(wait);
        return Err(ProviderFailure::Refused { error, about, wait_sec });
    }
    if !status.is_success() {
        let failed = status.is_server_error() || status == reqwest::StatusCode::REQUEST_TIMEOUT;
        if failed {
            return Err(ProviderFailure::InDoubt(format!("HTTP {} without a Graph error", status.as_u16())));
        }
        let error = errors::of_status(status.as_u16());
        return Err(ProviderFailure::Refused { error, about: About::Else, wait_sec: None });
    }
    serde_json::from_slice(&bytes).map_err(|_| ProviderFailure::InDoubt("the answer is not JSON".to_owned()))
}

/// What a refusal is about (Meta, support/error-codes): the code, or the subcode of a code 100.
fn about(code: i64, subcode: Option<i64>) -> About {
    let of = |code| match code {
        2_388_047 => Some(About::Component("HEADER")),
        2_388_072 | 2_388_293 | 2_388_299 => Some(About::Component("BODY")),
        2_388_073 => Some(About::Component("FOOTER")),
        2_388_040 => Some(About::Components),
        2_388_023 | 2_388_024 => Some(About::Name),
        2_388_019 | 4 | 80_007 | 80_008 | 130_429 => Some(About::Quantity),
        2_593_002 | 132_001 => Some(About::Absence),
        _ => None,
    };
    subcode.and_then(of).or_else(|| of(code)).unwrap_or(About::Else)
}

fn wait_sec(headers: &HeaderMap) -> u64 {
    let told = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let regain = usage(headers).and_then(|usage| u64::try_from(usage.regain_minutes).ok()).filter(|it| *it > 0);
    told.or(regain.map(|minutes| minutes * 60)).unwrap_or(WAIT_SEC)
}

/// `X-Business-Use-Case-Usage`: per business, how much of each allowance is used, in percent.
fn usage(headers: &HeaderMap) -> Option<Usage> {
    let header = headers.get("x-business-use-case-usage")?.to_str().ok()?;
    let all: Value = serde_json::from_str(header).ok()?;
    let entries = all.as_object()?.values().flat_map(|entries| wire::elements(Some(entries)));
    let number = |entry: &Value, name: &str| wire::integer(entry, &[name]).unwrap_or_default();
    entries
        .map(|entry| {
            let parts = ["call_count", "total_cputime", "total_time"].map(|name| number(entry, name));
            Usage {
                percent: parts.into_iter().max().unwrap_or_default().clamp(0, 1_000) as i16,
                regain_minutes: number(entry, "estimated_time_to_regain_access").clamp(0, 1_440) as i32,
            }
        })
        .max_by_key(|usage| usage.percent)
}

#[async_trait]
impl TemplateProvider for GraphTemplates {
    async fn create(&self, account: &BusinessAccount, draft: &Draft) -> Result<Taken, ProviderFailure> {
        let mut body = json!({ "name": draft.identity.name, "language": draft.identity.language,
                               "category": draft.category, "components": draft.components });
        if components::naming(&draft.components) == Naming::Named {
            body["parameter_format"] = json!("NAMED");
        }
        let request = self.http.post(self.edge(account)).bearer_auth(&account.access_token).json(&body);
        let answer = self.ask(account, request).await?;
        Ok(Taken {
            provider_id: wire::text(&answer, &["id"]),
            status: wire::text(&answer, &["status"]).map_or(Status::Pending, Status::from),
            category: wire::text(&answer, &["category"]).map(Category::from),
        })
    }

    async fn page(
        &self,
        account: &BusinessAccount,
        name: Option<&str>,
        after: Option<&str>,
    ) -> Result<ListedPage, ProviderFailure> {
        let mut query = vec![("fields", FIELDS), ("limit", PAGE)];
        query.extend(name.map(|name| ("name", name)));
        query.extend(after.map(|after| ("after", after)));
        let url = reqwest::Url::parse_with_params(&self.edge(account), &query)
            .map_err(|error| ProviderFailure::NotSent(error.to_string()))?;
        let request = self.http.get(url).bearer_auth(&account.access_token);
        let answer = self.ask(account, request).await?;
        let list = answer["data"].as_array();
        let list = list.ok_or_else(|| ProviderFailure::NotSent("the answer holds no list".to_owned()))?;
        // Only while there is a next page is the cursor of use.
        let more = answer["paging"]["next"].is_string();
        Ok(ListedPage {
            templates: list.iter().filter_map(listed).collect(),
            after: wire::text(&answer, &["paging", "cursors", "after"]).filter(|_| more),
        })
    }

    async fn delete(
        &self,
        account: &BusinessAccount,
        name: &str,
        provider_id: Option<&str>,
    ) -> Result<(), ProviderFailure> {
        let mut query = vec![("name", name)];
        query.extend(provider_id.map(|id| ("hsm_id", id)));
        let url = reqwest::Url::parse_with_params(&self.edge(account), &query)
            .map_err(|error| ProviderFailure::NotSent(error.to_string()))?;
        self.ask(account, self.http.delete(url).bearer_auth(&account.access_token)).await.map(drop)
    }

    async fn upload(&self, account: &BusinessAccount, sample: &Sample) -> Result<String, ProviderFailure> {
        let bytes = STANDARD.decode(&sample.data).map_err(|error| ProviderFailure::NotSent(error.to_string()))?;
        let app = self.app_id.as_deref().unwrap_or(OWN_APP);
        let length = bytes.len().to_string();
        let query = [
            ("file_name", sample.file_name.as_str()),
            ("file_length", length.as_str()),
            ("file_type", sample.content_type.as_str()),
        ];
        let url = reqwest::Url::parse_with_params(&format!("{}/{app}/uploads", self.root), &query)
            .map_err(|error| ProviderFailure::NotSent(error.to_string()))?;
        let session = self.ask(account, self.http.post(url).bearer_auth(&account.access_token)).await?;
        let session = wire::text(&session, &["id"]).filter(|id| id.starts_with("upload:"));
        let session = session.ok_or_else(|| ProviderFailure::NotSent("no upload was begun".to_owned()))?;
        let request = self
            .http
            .post(format!("{}/{session}", self.root))
            .header(AUTHORIZATION, format!("OAuth {}", account.access_token))
            .header("file_offset", "0")
            .body(bytes);
        let answer = self.ask(account, request).await?;
        wire::text(&answer, &["h"]).ok_or_else(|| ProviderFailure::NotSent("no handle came back".to_owned()))
    }
}

/// A row of Meta's list; one without a name or a language names no template.
fn listed(row: &Value) -> Option<Listed> {
    let language = wire::text(row, &["language"]).or_else(|| wire::text(row, &["language", "code"]))?;
    let reason = wire::text(row, &["rejected_reason"]).filter(|reason| reason != "NONE");
    let quality = wire::text(row, &["quality_score", "score"]).or_else(|| wire::text(row, &["quality_score"]));
    let rejection = Rejection {
        reason,
        explanation: wire::text(row, &["rejection_info", "reason"]),
        recommendation: wire::text(row, &["rejection_info", "recommendation"]),
    };
    Some(Listed {
        name: wire::text(row, &["name"])?,
        language: language.replace('-', "_"),
        listing: Listing {
            provider_id: wire::text(row, &["id"]),
            status: wire::text(row, &["status"]).map_or_else(|| Status::from("UNKNOWN"), Status::from),
            category: wire::text(row, &["category"]).map(Category::from),
            components: row["components"].clone(),
            quality: quality.map_or(Quality::Unknown, Quality::from),
            rejection: rejection.told(),
        },
    })
}

#[cfg(test)]
mod tests;
