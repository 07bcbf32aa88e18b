//! Reads audit entries: short reads by keyset, in an order in which none can appear behind a cursor.

use application::audit::entries::{EntryFilter, EntryReader, EntryView, Part, Placed};
use application::error::AppResult;
use application::log::Position;
use application::time::Stamp;
use async_trait::async_trait;
use chrono::{SubsecRound, TimeDelta};
use domain::shared::ids::TenantId;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgPool, Postgres, QueryBuilder, Row};

use crate::event_store::history::first_instant;
use crate::event_store::log_reader::FINISHED;
use crate::postgres::app_error;

/// Audit entries in Postgres.
pub struct PgAuditEntries {
    /// The database.
    pub pool: PgPool,
}

type Query = QueryBuilder<'static, Postgres>;

const PLACE: &str = "e.log_epoch, e.transaction_id::text as transaction_text, e.id";

#[async_trait]
impl EntryReader for PgAuditEntries {
    async fn end(&self, tenant: TenantId) -> AppResult<Option<Position>> {
        let mut query = of(PLACE, tenant);
        order(&mut query, true, 1);
        let row = query.build().try_map(|row: PgRow| position(&row)).fetch_optional(&self.pool);
        row.await.map_err(app_error)
    }

    async fn read(&self, tenant: TenantId, filter: &EntryFilter, part: Part, limit: u32) -> AppResult<Vec<Placed>> {
        let columns = format!("{PLACE}, e.recorded_at, e.actor, e.action, e.subject, e.details");
        let mut query = of(&columns, tenant);
        if let Some(after) = part.after {
            bound(&mut query, if filter.newest_first { "<" } else { ">" }, after);
        }
        if let Some(until) = part.until {
            bound(&mut query, "<=", until);
        }
        narrow(&mut query, filter);
        order(&mut query, filter.newest_first, i64::from(limit));
        query.build().try_map(|row: PgRow| placed(&row)).fetch_all(&self.pool).await.map_err(app_error)
    }
}

fn of(columns: &str, tenant: TenantId) -> Query {
    let mut query = QueryBuilder::new(format!("select {columns} from audit_entries e where e.tenant_id = "));
    query.push_bind(tenant.0).push(" and ").push(FINISHED);
    query
}

fn bound(query: &mut Query, comparison: &str, position: Position) {
    query.push(format!(" and (e.log_epoch, e.transaction_id, e.id) {comparison} ("));
    query.push_bind(position.epoch).push(", ").push_bind(position.transaction.to_string());
    query.push("::text::xid8, ").push_bind(position.number).push(")");
}

fn narrow(query: &mut Query, filter: &EntryFilter) {
    if !filter.actions.is_empty() {
        query.push(" and e.action = any(").push_bind(filter.actions.clone()).push(")");
    }
    if let Some(actor) = &filter.actor {
        query.push(" and e.actor = ").push_bind(actor.clone());
    }
    if let Some(subject) = &filter.subject {
        query.push(" and e.subject = ").push_bind(subject.clone());
    }
    // Times are shown in whole milliseconds, so that is how they compare.
    if let Some(from) = filter.from {
        query.push(" and e.recorded_at >= ").push_bind(first_instant(from));
    }
    if let Some(to) = filter.to {
        query.push(" and e.recorded_at < ").push_bind(to.trunc_subsecs(3) + TimeDelta::milliseconds(1));
    }
}

fn order(query: &mut Query, newest_first: bool, limit: i64) {
    let way = if newest_first { " desc" } else { "" };
    let order = format!(" order by e.log_epoch{way}, e.transaction_id{way}, e.id{way} limit ");
    query.push(order).push_bind(limit);
}

fn position(row: &PgRow) -> sqlx::Result<Position> {
    let transaction: String = row.try_get("transaction_text")?;
    Ok(Position {
        epoch: row.try_get("log_epoch")?,
        transaction: transaction.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        number: row.try_get("id")?,
    })
}

fn placed(row: &PgRow) -> sqlx::Result<Placed> {
    let entry = EntryView {
        id: row.try_get("id")?,
        at: Stamp(row.try_get("recorded_at")?),
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        details: row.try_get::<Json<_>, _>("details")?.0,
    };
    Ok(Placed { position: position(row)?, entry })
}
