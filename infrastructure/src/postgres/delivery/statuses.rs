//! What became of messages we sent.

use application::conversations::message_view::MessageView;
use application::conversations::outbound_status::{OutboundReader, OutboundStatus, QueuePlace, Whose};
use application::error::AppResult;
use application::time::Stamp;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::TenantId;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{QueryBuilder, Row};

use crate::postgres::app_error;
use crate::postgres::delivery::{PgDeliveries, rows};

/// Statuses after which only `read` may follow.
const SETTLED: [&str; 3] = ["delivered", "read", "failed"];

#[async_trait]
impl OutboundReader for PgDeliveries {
    async fn find(&self, tenant: TenantId, whose: &Whose, limit: u32) -> AppResult<Vec<OutboundStatus>> {
        let mut query = QueryBuilder::new(
            "select m.body, m.template_name, c.phone, c.body ->> 'phoneNumberId' as line, o.state, o.leaving, o.attempts,
                    case when o.state in (1, 3) then o.lease_until when o.state = 0 then o.due_at end as next_at
               from message_view m
               join conversation_view c on c.tenant_id = m.tenant_id and c.key = m.conversation_id
               left join outbox o on o.message_id = m.key::uuid
              where m.body ->> 'direction' = 'outbound' and m.tenant_id = ",
        );
        query.push_bind(tenant.0);
        match whose {
            Whose::Message(id) => query.push(" and m.key = ").push_bind(id.to_string()),
            Whose::Conversation(id) => query.push(" and m.conversation_id = ").push_bind(id.to_string()),
            Whose::Phone(phone) => query.push(" and c.phone = ").push_bind(phone.to_string()),
            // Those are found by our own id.
            Whose::Provider(_) => query.push(" and false"),
        };
        query.push(" order by m.wanted_at desc, m.ordinal desc limit ").push_bind(i64::from(limit));
        let rows = query.build().fetch_all(&self.pool).await.map_err(app_error)?;
        rows.iter().map(status).collect::<sqlx::Result<_>>().map_err(app_error)
    }
}

fn status(row: &PgRow) -> sqlx::Result<OutboundStatus> {
    let message = row.try_get::<Json<MessageView>, _>("body")?.0;
    let queue = match rows::row_state(row)? {
        Some(state) => Some(QueuePlace {
            state,
            attempts: row.try_get::<i32, _>("attempts")?.unsigned_abs(),
            next_at: row.try_get::<Option<DateTime<Utc>>, _>("next_at")?.map(Stamp),
        }),
        None => None,
    };
    Ok(OutboundStatus {
        message_id: message.id,
        conversation_id: message.conversation_id,
        phone: row.try_get("phone")?,
        phone_number_id: row.try_get::<Option<String>, _>("line")?.unwrap_or_default(),
        kind: message.kind,
        template_name: row.try_get("template_name")?,
        settled: SETTLED.contains(&message.status.as_str()),
        status: message.status,
        status_at: message.status_at,
        provider_message_id: message.provider_message_id,
        author: message.author,
        run_id: message.run_id,
        error: message.error,
        possible_duplicate: message.possible_duplicate,
        queue,
    })
}
