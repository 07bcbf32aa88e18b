//! Reads of the read models. Pages are cut by keyset: the sort value and the key of the last row.

pub mod appointments;
pub mod conversations;
pub mod flows;
pub mod leads;
pub mod recorded_runs;
pub mod template_sends;
pub mod templates;

use application::error::AppResult;
use application::log::Document;
use application::page::{Cursor, Page};
use domain::shared::ids::TenantId;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgPool, Row};

use crate::postgres::app_error;

/// A page of documents; `rows` may hold one more than `limit`, which says that there is a next page.
fn page<T: DeserializeOwned>(mut rows: Vec<PgRow>, limit: u32, total: Option<i64>) -> AppResult<Page<T>> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = match rows.last() {
        Some(last) if more => Some(Cursor {
            sort: last.try_get("sort").map_err(app_error)?,
            key: last.try_get("key").map_err(app_error)?,
        }),
        Some(_) | None => None,
    };
    let rows = rows.iter().map(document).collect::<AppResult<_>>()?;
    Ok(Page { rows, next, total: total.map(i64::unsigned_abs) })
}

fn document<T: DeserializeOwned>(row: &PgRow) -> AppResult<T> {
    Ok(row.try_get::<Json<T>, _>("body").map_err(app_error)?.0)
}

/// One document by its key.
async fn one<D: Document>(pool: &PgPool, tenant: TenantId, key: String) -> AppResult<Option<D>> {
    let statement = format!("select body from {} where tenant_id = $1 and key = $2", D::NAME);
    let row = sqlx::query(&statement).bind(tenant.0).bind(key).fetch_optional(pool).await.map_err(app_error)?;
    row.as_ref().map(document).transpose()
}

fn sort_of(after: Option<&Cursor>) -> (Option<String>, Option<String>) {
    (after.map(|cursor| cursor.sort.clone()), after.map(|cursor| cursor.key.clone()))
}

/// `text` as the inside of a `like` pattern.
fn contains(text: Option<&str>) -> Option<String> {
    text.map(|text| format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")))
}
