//! Templates among messages: to whom they went, and what came of them.

use std::collections::HashMap;

use application::error::AppResult;
use application::templates::approved_audit::{ApprovedTemplate, OwnerFigures, SendFigures, TemplateFigures};
use application::templates::check_sent::{LastTemplate, SentTemplates};
use application::templates::views::TemplateDocument;
use application::time::Stamp;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::TenantId;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::postgres::app_error;
use crate::postgres::readers::document;

/// Templates among messages, in Postgres.
pub struct PgTemplateSends {
    /// The database.
    pub pool: PgPool,
}

/// $1: the account; $2: phones; $3: since, as documents write it; $4: the template. What did not fail comes first.
const NEWEST: &str = "
select distinct on (c.phone) c.phone, c.key::uuid as conversation_id, m.key::uuid as message_id, m.template_name,
       m.body #>> '{media,language}' as language, m.body ->> 'status' as status, m.wanted_at::timestamptz as at
  from conversation_view c
  join message_view m on m.tenant_id = c.tenant_id and m.conversation_id = c.key
 where c.tenant_id = $1 and c.phone = any($2) and m.template_name is not null and m.wanted_at >= $3
   and ($4::text is null or m.template_name = $4)
 order by c.phone, m.failed, m.wanted_at desc, m.ordinal desc";

/// $1: the account; $2: since, as documents write it. A reply is the customer talking in the same conversation behind
/// the template and before the next one, of however many words; the first one counts, from when the channel took the
/// template. One row a template and owner, one for a template nobody sent.
const APPROVED: &str = "
with sends as (
    select m.template_name as name, m.body #>> '{media,language}' as language, m.conversation_id, m.ordinal, m.failed,
           m.body ->> 'status' as status, m.body ->> 'author' as author, (m.body ->> 'userId')::uuid as user_id,
           case when c.body #>> '{flowRun,runId}' = m.body ->> 'runId' then c.body #>> '{flowRun,flowId}' end as flow_id,
           c.body ->> 'phoneNumberId' as line, m.wanted_at,
           coalesce(m.body #>> '{statusAt,sent}', m.wanted_at)::timestamptz as at,
           lead(m.ordinal) over (partition by m.conversation_id order by m.ordinal) as next
      from message_view m
      join conversation_view c on c.tenant_id = m.tenant_id and c.key = m.conversation_id
     where m.tenant_id = $1 and m.template_name is not null and m.wanted_at >= $2
), answered as (
    select s.*, l.waba_id, r.after
      from sends s
      left join whatsapp_lines l on l.phone_number_id = s.line and l.tenant_id = $1
      left join lateral (
          select (i.body ->> 'at')::timestamptz - s.at as after
            from message_view i
           where i.tenant_id = $1 and i.conversation_id = s.conversation_id and i.ordinal > s.ordinal
             and (s.next is null or i.ordinal < s.next)
             and i.body ->> 'direction' = 'inbound' and i.body ->> 'type' not in ('reaction', 'edit', 'revoke', 'system')
           order by i.ordinal limit 1) r on not s.failed
), counted as (
    select name, language, waba_id, author, user_id, flow_id, count(*) as sends,
           count(*) filter (where status in ('delivered', 'read')) as deliveries,
           count(*) filter (where status = 'read') as reads,
           count(*) filter (where failed) as failures,
           count(*) filter (where after <= interval '24 hours') as replies_24h,
           count(*) filter (where after <= interval '7 days') as replies_7d,
           max(wanted_at)::timestamptz as last_sent_at
      from answered group by name, language, waba_id, author, user_id, flow_id
)
select t.body, a.author, a.user_id, a.flow_id::uuid as flow_id, coalesce(u.display_name, f.body ->> 'name') as owner,
       a.sends, a.deliveries, a.reads, a.failures, a.replies_24h, a.replies_7d,
       max(a.last_sent_at) over (partition by t.key) as last_sent_at
  from template_view t
  left join counted a on a.name = t.name and a.language = t.body #>> '{template,Known,language}'
                     and (a.waba_id is null or a.waba_id = t.waba_id)
  left join users u on u.id = a.user_id
  left join flow_view f on f.tenant_id = $1 and f.key = a.flow_id
 where t.tenant_id = $1 and t.status in ('APPROVED', 'FLAGGED')
 order by t.sort, t.key, a.sends desc, a.author, a.user_id, a.flow_id";

#[async_trait]
impl SentTemplates for PgTemplateSends {
    async fn newest(
        &self,
        tenant: TenantId,
        phones: &[&str],
        template_name: Option<&str>,
        since: DateTime<Utc>,
    ) -> AppResult<HashMap<String, LastTemplate>> {
        let query = sqlx::query(NEWEST).bind(tenant.0).bind(phones).bind(Stamp(since).to_string()).bind(template_name);
        let rows = query.try_map(|row: PgRow| last(&row)).fetch_all(&self.pool).await.map_err(app_error)?;
        Ok(rows.into_iter().collect())
    }
}

fn last(row: &PgRow) -> sqlx::Result<(String, LastTemplate)> {
    let last = LastTemplate {
        template_name: row.try_get("template_name")?,
        language: row.try_get("language")?,
        message_id: row.try_get("message_id")?,
        conversation_id: row.try_get("conversation_id")?,
        status: row.try_get("status")?,
        at: Stamp(row.try_get("at")?),
    };
    Ok((row.try_get("phone")?, last))
}

#[async_trait]
impl TemplateFigures for PgTemplateSends {
    async fn approved(&self, tenant: TenantId, since: DateTime<Utc>) -> AppResult<Vec<ApprovedTemplate>> {
        let query = sqlx::query(APPROVED).bind(tenant.0).bind(Stamp(since).to_string());
        let rows = query.fetch_all(&self.pool).await.map_err(app_error)?;
        let mut found: Vec<ApprovedTemplate> = Vec::new();
        for row in &rows {
            let template: TemplateDocument = document(row)?;
            let Some(known) = template.known() else { continue };
            if found.last().is_none_or(|last| last.template_id != known.id) {
                let last_sent_at: Option<DateTime<Utc>> = row.try_get("last_sent_at").map_err(app_error)?;
                found.push(ApprovedTemplate {
                    template_id: known.id,
                    name: known.name.clone(),
                    language: known.language.clone(),
                    category: known.category.as_ref().map(ToString::to_string),
                    quality: known.quality.to_string(),
                    waba_id: known.waba_id.clone(),
                    last_sent_at: last_sent_at.map(Stamp),
                    figures: SendFigures::default(),
                    owners: Vec::new(),
                });
            }
            let owner = owner(row).map_err(app_error)?;
            if let (Some(template), Some(owner)) = (found.last_mut(), owner) {
                template.owners.push(owner);
            }
        }
        Ok(found)
    }
}

/// None for a template nobody sent.
fn owner(row: &PgRow) -> sqlx::Result<Option<OwnerFigures>> {
    let count = |name: &str| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(name)?.unsigned_abs());
    let Some(by) = row.try_get::<Option<String>, _>("author")? else { return Ok(None) };
    let figures = SendFigures {
        sends: count("sends")?,
        deliveries: count("deliveries")?,
        reads: count("reads")?,
        failures: count("failures")?,
        replies24h: count("replies_24h")?,
        replies7d: count("replies_7d")?,
        ..SendFigures::default()
    };
    Ok(Some(OwnerFigures {
        by,
        user_id: row.try_get::<Option<Uuid>, _>("user_id")?,
        flow_id: row.try_get::<Option<Uuid>, _>("flow_id")?,
        name: row.try_get("owner")?,
        figures: figures.rated(),
    }))
}
