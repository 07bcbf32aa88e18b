//! The keys that contacts get when they are met.

use domain::shared::ids::{ContactId, TenantId};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

/// Contacts whose keys are made by one statement at most.
pub(super) const MAKE_MAX: usize = 128;

/// A contact that may have no key yet, and the one it gets then, wrapped.
#[derive(Clone)]
pub(super) struct New {
    pub(super) tenant: TenantId,
    pub(super) contact: ContactId,
    pub(super) wrapped: String,
}

/// A key as it lies in the database, and how many erasures there had been; one that was destroyed is wrapped no more.
pub(super) struct Stored {
    pub(super) wrapped: Option<String>,
    pub(super) erasures: i64,
}

/// Finds keys, or makes them. Nobody waits for the commit: what they seal is appended after it, and that flush takes
/// it along. One that somebody else makes at the same time is not `settled`; the second look finds it.
const MAKE: &str = "
with wanted as (
    select * from unnest($1::uuid[], $2::uuid[], $3::text[]) with ordinality as w(tenant_id, contact_id, wrapped, n)
), found as materialized (
    select w.n, k.wrapped from wanted w cross join lateral (
        select wrapped from contact_keys k where k.tenant_id = w.tenant_id and k.contact_id = w.contact_id limit 1) as k
), made as (
    insert into contact_keys (tenant_id, contact_id, wrapped)
    select w.tenant_id, w.contact_id, w.wrapped
      from wanted w cross join (select set_config('synchronous_commit', 'off', true)) as unhurried
     where w.n not in (select n from found) order by w.tenant_id, w.contact_id
    on conflict do nothing
    returning tenant_id, contact_id, wrapped
)
select f.n is not null or m.wrapped is not null as settled, coalesce(f.wrapped, m.wrapped) as wrapped,
       (select count from erasures) as erasures
  from wanted w left join found f on f.n = w.n
       left join made m on m.tenant_id = w.tenant_id and m.contact_id = w.contact_id
 order by w.n";

/// The keys of these, in their order; none where another look is needed.
pub(super) async fn make(connection: &mut PgConnection, wanted: Vec<New>) -> Result<Vec<Option<Stored>>, sqlx::Error> {
    let rows = sqlx::query(MAKE)
        .bind(wanted.iter().map(|it| it.tenant.0).collect::<Vec<_>>())
        .bind(wanted.iter().map(|it| it.contact.0).collect::<Vec<_>>())
        .bind(wanted.into_iter().map(|it| it.wrapped).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let read = |row: &PgRow| {
        let stored = Stored { wrapped: row.try_get("wrapped")?, erasures: row.try_get("erasures")? };
        Ok(row.try_get::<bool, _>("settled")?.then_some(stored))
    };
    rows.iter().map(read).collect()
}
