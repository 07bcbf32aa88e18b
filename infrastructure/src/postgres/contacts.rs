//! Who is behind an address: contacts as sets of identifiers.

use std::time::Duration;

use application::conversations::ports::Contacts;
use application::error::{AppError, AppResult};
use async_trait::async_trait;
use domain::shared::channel::{Address, Channel};
use domain::shared::ids::{ContactId, TenantId};
use futures::FutureExt;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments, PgConnection, PgPool};
use uuid::Uuid;

use crate::postgres::app_error;
use crate::postgres::ttl_cache::TtlCache;
use crate::together::Together;

/// How long another node may find the former contact of an identifier that was linked anew.
const CACHE_TTL: Duration = Duration::from_secs(30);
/// Identifiers remembered.
const CACHE_ENTRIES: usize = 100_000;
/// How often a contact that was erased comes back under an id that is the same for everyone.
const RETURNS_MAX: usize = 16;
/// Looks at an identifier that others write at the same time; the second look finds what they wrote.
const LOOKS_MAX: usize = 3;

/// Addresses looked up by one statement at most.
const TOGETHER_MAX: usize = 64;

/// The identifiers of some addresses (`a`), with the contact each has, and whom each address leads to: the first identifier
/// that is known decides, else it is a new contact, nearly always the first of those it may become (`new`). The lookup is a
/// subquery so that every plan uses the key: a join, planned while the table was small and kept, would read all of it
/// ever after.
macro_rules! wanted {
    () => {
        "with wanted as materialized (
    select w.a, w.tenant_id, w.channel, w.kind, w.value, w.new::uuid[] as new, w.n,
           (select i.contact_id from contact_identifiers i
             where i.tenant_id = w.tenant_id and i.channel = w.channel and i.kind = w.kind and i.value = w.value) as known
      from unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
           with ordinality as w(a, tenant_id, channel, kind, value, new, n)
), chosen as materialized (
    select distinct on (w.a) w.a, coalesce(w.known, (
               select w.new[1] where not exists (
                   select from contact_keys k
                    where k.tenant_id = w.tenant_id and k.contact_id = w.new[1] and k.erased_at is not null)), (
               select c.id from unnest(w.new) with ordinality as c(id, n)
                where not exists (select from contact_keys k
                                   where k.tenant_id = w.tenant_id and k.contact_id = c.id and k.erased_at is not null)
                order by c.n limit 1)) as contact_id
      from wanted w order by w.a, w.known is null, w.n
)"
    };
}

/// Finds, makes and teaches contacts, whose commit nobody waits for: what rests on it is appended after it, and that
/// flush takes it along. Identifiers of another contact stay with it. One that somebody else inserted meanwhile, or a
/// neighbour here for another contact, has no `settled`, nor has one whose every contact in `new` was erased.
const RESOLVE: &str = concat!(
    wanted!(),
    ", learnt as (
    insert into contact_identifiers (tenant_id, channel, kind, value, contact_id)
    select w.tenant_id, w.channel, w.kind, w.value, c.contact_id
      from wanted w join chosen c on c.a = w.a cross join (select set_config('synchronous_commit', 'off', true)) as unhurried
     where w.known is null and c.contact_id is not null order by w.tenant_id, w.channel, w.kind, w.value, w.n
    on conflict do nothing
    returning tenant_id, channel, kind, value, contact_id
)
select w.a, c.contact_id, coalesce(w.known, l.contact_id) as settled
  from wanted w join chosen c on c.a = w.a
       left join learnt l on l.tenant_id = w.tenant_id and l.channel = w.channel and l.kind = w.kind
                         and l.value = w.value and l.contact_id = c.contact_id
 order by w.n"
);

/// The first `$7` identifiers are the former ones: they decide, and are learnt where unknown. The others
/// lead to the same contact from now on, wherever they led before.
const LINK: &str = concat!(
    wanted!(),
    ", learnt as (
    insert into contact_identifiers (tenant_id, channel, kind, value, contact_id)
    select w.tenant_id, w.channel, w.kind, w.value, c.contact_id from wanted w cross join chosen c where w.n <= $7 order by w.n
    on conflict do nothing
), moved as (
    insert into contact_identifiers (tenant_id, channel, kind, value, contact_id)
    select w.tenant_id, w.channel, w.kind, w.value, c.contact_id from wanted w cross join chosen c where w.n > $7 order by w.n
    on conflict (tenant_id, channel, kind, value) do update set contact_id = excluded.contact_id
     where contact_identifiers.contact_id <> excluded.contact_id
)
select contact_id from chosen"
);

/// One way a contact is known: its kind and its value.
type Identifier = (&'static str, String);

/// Who is asked for.
#[derive(Clone)]
struct Wanted {
    tenant: TenantId,
    channel: Channel,
    identifiers: Vec<Identifier>,
    new: String,
}

/// Whom an address leads to, and the contact each of its identifiers has; none where another look is needed.
#[derive(Default)]
struct Found {
    contact: Option<ContactId>,
    settled: Vec<Option<ContactId>>,
}

/// [`Contacts`] on Postgres.
pub struct PgContacts {
    pool: PgPool,
    looks: Together<Wanted, Found>,
    cache: TtlCache<(TenantId, Channel, Identifier), ContactId>,
}

impl PgContacts {
    /// Contacts in this database.
    pub fn new(pool: PgPool) -> Self {
        let looks = Together::start(pool.clone(), TOGETHER_MAX, |connection, wanted| look(connection, wanted).boxed());
        Self { pool, looks, cache: TtlCache::new(CACHE_ENTRIES, CACHE_TTL) }
    }

    /// The contact, when every identifier is remembered: one that is not may have to be learnt.
    fn remembered(&self, tenant: TenantId, channel: Channel, identifiers: &[Identifier]) -> Option<ContactId> {
        let contact = |it: &Identifier| self.cache.get(&(tenant, channel, it.clone()));
        let contacts: Option<Vec<ContactId>> = identifiers.iter().map(contact).collect();
        contacts?.first().copied()
    }
}

async fn look(connection: &mut PgConnection, wanted: Vec<Wanted>) -> Result<Vec<Found>, sqlx::Error> {
    let mut found: Vec<Found> = wanted.iter().map(|_| Found::default()).collect();
    let rows: Vec<(i32, Option<Uuid>, Option<Uuid>)> =
        sqlx::query_as_with(RESOLVE, arguments(&wanted)?).fetch_all(connection).await?;
    for (a, contact, settled) in rows {
        if let Some(found) = usize::try_from(a).ok().and_then(|a| found.get_mut(a)) {
            found.contact = contact.map(ContactId);
            found.settled.push(settled.map(ContactId));
        }
    }
    Ok(found)
}

#[async_trait]
impl Contacts for PgContacts {
    async fn resolve(&self, tenant: TenantId, channel: Channel, address: &Address) -> AppResult<ContactId> {
        let identifiers = identifiers(address);
        if let Some(contact) = self.remembered(tenant, channel, &identifiers) {
            return Ok(contact);
        }
        let before = self.cache.epoch();
        let new = new_contacts(tenant, channel, &identifiers, 0)?;
        let mut wanted = Wanted { tenant, channel, identifiers: identifiers.clone(), new };
        let mut found = Found::default();
        for _ in 0..LOOKS_MAX {
            found = self.looks.ask(wanted.clone()).await.map_err(app_error)?;
            if found.settled.iter().all(Option::is_some) {
                break;
            }
            wanted.new = new_contacts(tenant, channel, &identifiers, RETURNS_MAX)?;
        }
        for (identifier, settled) in identifiers.into_iter().zip(found.settled) {
            if let Some(settled) = settled {
                self.cache.put(before, (tenant, channel, identifier), settled);
            }
        }
        found.contact.ok_or_else(nobody)
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
        let new = new_contacts(tenant, channel, &all, RETURNS_MAX)?;
        let wanted = Wanted { tenant, channel, identifiers: all.clone(), new };
        let link = sqlx::query_scalar_with(LINK, arguments(&[wanted]).map_err(app_error)?).bind(former);
        let contact: Uuid = link.fetch_one(&self.pool).await.map_err(app_error)?;
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

/// The columns of `wanted`, a row an identifier.
fn arguments(wanted: &[Wanted]) -> Result<PgArguments, sqlx::Error> {
    let rows: Vec<(i32, &Wanted, &Identifier)> = (0..)
        .zip(wanted)
        .flat_map(|(a, it)| it.identifiers.iter().map(move |identifier| (a, it, identifier)))
        .collect();
    let mut arguments = PgArguments::default();
    let mut add = || {
        arguments.add(rows.iter().map(|(a, ..)| *a).collect::<Vec<i32>>())?;
        arguments.add(rows.iter().map(|(_, it, _)| it.tenant.0).collect::<Vec<Uuid>>())?;
        arguments.add(rows.iter().map(|(_, it, _)| it.channel.as_str()).collect::<Vec<&str>>())?;
        arguments.add(rows.iter().map(|(.., identifier)| identifier.0).collect::<Vec<&str>>())?;
        arguments.add(rows.iter().map(|(.., identifier)| identifier.1.as_str()).collect::<Vec<&str>>())?;
        arguments.add(rows.iter().map(|(_, it, _)| it.new.as_str()).collect::<Vec<&str>>())
    };
    add().map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}

/// The id of a contact that is not known yet, the same for everyone who meets it at the same time; and those it has
/// when it comes back after it was erased, up to `returns` times. The last of them, for who was erased that often, is
/// nobody else's either.
fn new_contacts(tenant: TenantId, channel: Channel, identifiers: &[Identifier], returns: usize) -> AppResult<String> {
    let (kind, value) = identifiers.first().ok_or_else(nobody)?;
    let name = format!("{channel}:{kind}:{value}");
    let first = ContactId::derive(tenant.0, &name);
    let later = (1..returns).map(|n| ContactId::derive(tenant.0, &format!("{name}:{n}")));
    let last = (returns > 0).then(|| ContactId(Uuid::new_v4()));
    let all: Vec<String> = std::iter::once(first).chain(later).chain(last).map(|id| id.to_string()).collect();
    Ok(format!("{{{}}}", all.join(",")))
}

fn nobody() -> AppError {
    AppError::invalid("an address needs a phone or a user id")
}
