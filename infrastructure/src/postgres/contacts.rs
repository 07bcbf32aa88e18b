//! Who is behind an address: contacts as sets of identifiers.

use std::time::Duration;

use application::conversations::ports::Contacts;
use application::error::{AppError, AppResult};
use async_trait::async_trait;
use domain::shared::channel::{Address, Channel};
use domain::shared::ids::{ContactId, TenantId};
use sqlx::PgPool;
use uuid::Uuid;

use crate::postgres::app_error;
use crate::postgres::ttl_cache::TtlCache;

/// How long another node may find the former contact of an identifier that was linked anew.
const CACHE_TTL: Duration = Duration::from_secs(30);
/// Identifiers remembered.
const CACHE_ENTRIES: usize = 100_000;
/// How often a contact that was erased comes back under an id that is the same for everyone.
const RETURNS_MAX: usize = 16;
/// Looks at an identifier that others write at the same time; the second look finds what they wrote.
const LOOKS_MAX: usize = 3;

/// What is asked for, with the contact each identifier has. The lookup is a subquery so that every plan uses
/// the key: a join, planned while the table was small and kept, would read all of it ever after.
macro_rules! wanted {
    () => {
        "with wanted as materialized (
    select w.kind, w.value, w.n,
           (select i.contact_id from contact_identifiers i
             where i.tenant_id = $1 and i.channel = $2 and i.kind = w.kind and i.value = w.value) as known
      from unnest($3::text[], $4::text[]) with ordinality as w(kind, value, n)
), chosen as (
    select coalesce((select known from wanted where known is not null order by n limit 1), (
               select c.id from unnest($5::uuid[]) with ordinality as c(id, n)
                where not exists (select from contact_keys k
                                   where k.tenant_id = $1 and k.contact_id = c.id and k.erased_at is not null)
                order by c.n limit 1)) as contact_id
)"
    };
}

/// Finds, makes and teaches a contact in one statement, whose commit nobody waits for: what rests on it is appended after
/// it, and that flush takes it along. The first identifier that is known decides; those
/// of another contact stay with it. An identifier that somebody else inserted meanwhile has no `settled`.
const RESOLVE: &str = concat!(
    wanted!(),
    ", learnt as (
    insert into contact_identifiers (tenant_id, channel, kind, value, contact_id)
    select $1, $2, w.kind, w.value, c.contact_id
      from wanted w cross join chosen c cross join (select set_config('synchronous_commit', 'off', true)) as unhurried
     where w.known is null order by w.n
    on conflict do nothing
    returning kind, contact_id
)
select c.contact_id, coalesce(w.known, l.contact_id) as settled
  from wanted w cross join chosen c left join learnt l on l.kind = w.kind
 order by w.n"
);

/// The first `$6` identifiers are the former ones: they decide, and are learnt where unknown. The others
/// lead to the same contact from now on, wherever they led before.
const LINK: &str = concat!(
    wanted!(),
    ", learnt as (
    insert into contact_identifiers (tenant_id, channel, kind, value, contact_id)
    select $1, $2, w.kind, w.value, c.contact_id from wanted w cross join chosen c where w.n <= $6 order by w.n
    on conflict do nothing
), moved as (
    insert into contact_identifiers (tenant_id, channel, kind, value, contact_id)
    select $1, $2, w.kind, w.value, c.contact_id from wanted w cross join chosen c where w.n > $6 order by w.n
    on conflict (tenant_id, channel, kind, value) do update set contact_id = excluded.contact_id
     where contact_identifiers.contact_id <> excluded.contact_id
)
select contact_id from chosen"
);

/// One way a contact is known: its kind and its value.
type Identifier = (&'static str, String);

/// [`Contacts`] on Postgres.
pub struct PgContacts {
    pool: PgPool,
    cache: TtlCache<(TenantId, Channel, Identifier), ContactId>,
}

impl PgContacts {
    /// Contacts in this database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, cache: TtlCache::new(CACHE_ENTRIES, CACHE_TTL) }
    }

    /// The contact, when every identifier is remembered: one that is not may have to be learnt.
    fn remembered(&self, tenant: TenantId, channel: Channel, identifiers: &[Identifier]) -> Option<ContactId> {
        let contact = |it: &Identifier| self.cache.get(&(tenant, channel, it.clone()));
        let contacts: Option<Vec<ContactId>> = identifiers.iter().map(contact).collect();
        contacts?.first().copied()
    }

    async fn look(
        &self,
        tenant: TenantId,
        channel: Channel,
        identifiers: &[Identifier],
    ) -> AppResult<Vec<(Uuid, Option<Uuid>)>> {
        let (kinds, values) = columns(identifiers);
        sqlx::query_as(RESOLVE)
            .bind(tenant.0)
            .bind(channel.as_str())
            .bind(kinds)
            .bind(values)
            .bind(new_contacts(tenant, channel, identifiers)?)
            .fetch_all(&self.pool)
            .await
            .map_err(app_error)
    }
}

#[async_trait]
impl Contacts for PgContacts {
    async fn resolve(&self, tenant: TenantId, channel: Channel, address: &Address) -> AppResult<ContactId> {
        let identifiers = identifiers(address);
        if let Some(contact) = self.remembered(tenant, channel, &identifiers) {
            return Ok(contact);
        }
        let before = self.cache.epoch();
        let mut rows = self.look(tenant, channel, &identifiers).await?;
        for _ in 1..LOOKS_MAX {
            if rows.iter().all(|(_, settled)| settled.is_some()) {
                break;
            }
            rows = self.look(tenant, channel, &identifiers).await?;
        }
        let chosen = rows.first().map(|(chosen, _)| ContactId(*chosen));
        for (identifier, (_, settled)) in identifiers.into_iter().zip(rows) {
            if let Some(settled) = settled {
                self.cache.put(before, (tenant, channel, identifier), ContactId(settled));
            }
        }
        chosen.ok_or_else(nobody)
    }

    fn forget(&self, tenant: TenantId, channel: Channel, address: &Address) {
        for identifier in identifiers(address) {
            self.cache.remove(&(tenant, channel, identifier));
        }
    }

    async fn link(&self, tenant: TenantId, channel: Channel, from: &Address, to: &Address) -> AppResult<ContactId> {
        let mut all = identifiers(from);
        let former = i64::try_from(all.len()).map_err(AppError::internal)?;
        for identifier in identifiers(to) {
            if !all.contains(&identifier) {
                all.push(identifier);
            }
        }
        let (kinds, values) = columns(&all);
        let contact: Uuid = sqlx::query_scalar(LINK)
            .bind(tenant.0)
            .bind(channel.as_str())
            .bind(kinds)
            .bind(values)
            .bind(new_contacts(tenant, channel, &all)?)
            .bind(former)
            .fetch_one(&self.pool)
            .await
            .map_err(app_error)?;
        for identifier in all {
            self.cache.remove(&(tenant, channel, identifier));
        }
        Ok(ContactId(contact))
    }
}

/// The phone first: it decides when two identifiers disagree.
fn identifiers(address: &Address) -> Vec<Identifier> {
    let phone = address.phone.as_ref().map(|phone| ("phone", phone.as_str().to_owned()));
    let user_id = address.user_id.as_ref().map(|id| ("user_id", id.clone()));
    phone.into_iter().chain(user_id).collect()
}

fn columns(identifiers: &[Identifier]) -> (Vec<&'static str>, Vec<String>) {
    identifiers.iter().cloned().unzip()
}

/// The id of a contact that is not known yet, the same for everyone who meets it at the same time; and those it has
/// when it comes back after it was erased. The last one, for who was erased that often, is nobody else's either.
fn new_contacts(tenant: TenantId, channel: Channel, identifiers: &[Identifier]) -> AppResult<Vec<Uuid>> {
    let (kind, value) = identifiers.first().ok_or_else(nobody)?;
    let name = format!("{channel}:{kind}:{value}");
    let first = ContactId::derive(tenant.0, &name).0;
    let later = (1..RETURNS_MAX).map(|n| ContactId::derive(tenant.0, &format!("{name}:{n}")).0);
    Ok(std::iter::once(first).chain(later).chain([Uuid::new_v4()]).collect())
}

fn nobody() -> AppError {
    AppError::invalid("an address needs a phone or a user id")
}
