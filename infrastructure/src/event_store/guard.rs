//! Whether the log was written here. Transaction ids order it, and they count in their own cluster alone: served from
//! another one, old events would be out of sight and new ones would sort before them. So a log that was restored
//! elsewhere is refused until it is adopted. That begins a new epoch; no event is rewritten.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};

/// Where the log is and where it was, and whether its order holds here. `written_epoch` is the default new events are
/// written with, which a restore of data alone leaves at its first value.
const LOOK: &str = "
select c.system_identifier::text as cluster_here, d.oid::bigint as database_here,
       m.system_identifier as cluster, m.database_oid::bigint as database, m.log_epoch,
       (select max(e.log_epoch) from events e) as newest_epoch,
       (select substring(pg_get_expr(f.adbin, f.adrelid) from '[0-9]+')::smallint
          from pg_attrdef f join pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum
         where f.adrelid = 'events'::regclass and a.attname = 'log_epoch') as written_epoch,
       coalesce((select e.transaction_id >= pg_snapshot_xmax(pg_current_snapshot()) from events e
                  where e.log_epoch = m.log_epoch
                  order by e.log_epoch desc, e.transaction_id desc, e.global_position desc limit 1), false) as ahead
  from store_meta m, pg_control_system() c, pg_database d where d.datname = current_database()";

/// What a restored copy would go on with, and what may be done already where it came from.
const WAITING: &str = "
select (select count(*) from outbox where state <> 4) as messages,
       (select count(*) from jobs where not dead) as jobs,
       (select count(*) from webhook_journal where state = 0) as webhooks";

/// What becomes of what waits when it is given up: it is kept beside, where a person finds it.
const GIVE_UP: [&str; 3] = [
    "update outbox set state = 4, leaving = false, lease_token = null, lease_until = null, last_error = 'given up when the store was adopted'
      where state <> 4",
    "update jobs set dead = true, locked_until = null, lock_token = null, last_error = 'given up when the store was adopted'
      where not dead",
    "update webhook_journal set state = 2, reason = 'given up when the store was adopted' where state = 0",
];

/// Why the log may not be served.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It came from somewhere else.
    #[error(
        "this log was written in another place (cluster {was}, here is {here}), so it was restored, and served as it is it \
         would lose its order; stop every FlowBot that uses this database and run `flowbot store adopt` once"
    )]
    Elsewhere {
        /// Cluster and database it was written in.
        was: String,
        /// Cluster and database it is in.
        here: String,
    },
    /// Events would be out of sight, or new ones sort before old ones.
    #[error(
        "this log's order does not hold in this database ({why}), so it was restored or its cluster was reset; stop every \
         FlowBot that uses this database and run `flowbot store adopt` once"
    )]
    OutOfOrder {
        /// What was found.
        why: &'static str,
    },
    /// The database.
    #[error("the log's place cannot be checked: {0}")]
    Database(#[from] sqlx::Error),
}

/// What waits to be done. In a restored copy some of it may be done already, where the copy was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Messages due, on their way or in doubt.
    pub messages: i64,
    /// Timers of waiting runs, and other work for later.
    pub jobs: i64,
    /// Webhooks that were acknowledged and not processed.
    pub webhooks: i64,
}

impl Waiting {
    /// Whether nothing does.
    pub const fn is_empty(&self) -> bool {
        self.messages == 0 && self.jobs == 0 && self.webhooks == 0
    }
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { messages, jobs, webhooks } = self;
        write!(f, "{messages} message(s) to be sent, {jobs} timer(s) and job(s), {webhooks} webhook(s) to be processed")
    }
}

/// What an adoption came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// The log is where it belongs.
    NothingToAdopt,
    /// Something waits, and nobody said what is to become of it. Nothing was changed.
    Undecided(Waiting),
    /// The log goes on here.
    Adopted {
        /// What new events are written with.
        epoch: i16,
        /// What waited.
        waiting: Waiting,
    },
}

struct Standing {
    here: (String, i64),
    known: Option<(String, i64)>,
    epoch: i16,
    newest: Option<i16>,
    written: Option<i16>,
    ahead: bool,
}

impl Standing {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let known: (Option<String>, Option<i64>) = (row.try_get("cluster")?, row.try_get("database")?);
        Ok(Self {
            here: (row.try_get("cluster_here")?, row.try_get("database_here")?),
            known: known.0.zip(known.1),
            epoch: row.try_get("log_epoch")?,
            newest: row.try_get("newest_epoch")?,
            written: row.try_get("written_epoch")?,
            ahead: row.try_get("ahead")?,
        })
    }

    fn check(&self) -> Result<(), Refused> {
        let named = |(cluster, database): &(String, i64)| format!("{cluster}, database {database}");
        if let Some(known) = self.known.as_ref().filter(|known| **known != self.here) {
            return Err(Refused::Elsewhere { was: named(known), here: named(&self.here) });
        }
        let out_of_order = |why| Err(Refused::OutOfOrder { why });
        if self.ahead {
            return out_of_order("its last transaction is one this cluster has not come to");
        }
        if self.newest.is_some_and(|newest| newest > self.epoch) || self.written != Some(self.epoch) {
            return out_of_order("its epoch and the one new events are written with differ");
        }
        Ok(())
    }
}

async fn look(connection: &mut PgConnection) -> Result<Standing, sqlx::Error> {
    Standing::read(&sqlx::query(LOOK).fetch_one(connection).await?)
}

/// Lets a start go on, or not. The first one remembers where the log is.
///
/// # Errors
/// The log was restored from elsewhere, in one line that says what to do.
pub async fn check(pool: &PgPool) -> Result<(), Refused> {
    let mut connection = pool.acquire().await?;
    let standing = look(&mut connection).await?;
    standing.check()?;
    if standing.known.is_none() {
        // Of several first starts one writes, and they would all write the same.
        sqlx::query("update store_meta set system_identifier = $1, database_oid = $2::bigint::oid where system_identifier is null")
            .bind(&standing.here.0)
            .bind(standing.here.1)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Takes a restored log over: from here on events are of a new epoch, and everything that is there comes before them.
/// `keep` says whether what waits is done here or given up; without it nothing is adopted as long as something waits.
///
/// # Errors
/// The database; nothing was changed.
pub async fn adopt(pool: &PgPool, keep: Option<bool>) -> Result<Adoption, Refused> {
    let mut transaction = pool.begin().await?;
    // Two adoptions come one after the other, and the second finds nothing to adopt.
    sqlx::query("lock table store_meta in exclusive mode").execute(&mut *transaction).await?;
    let standing = look(&mut transaction).await?;
    match standing.check() {
        Ok(()) => return Ok(Adoption::NothingToAdopt),
        Err(Refused::Database(error)) => return Err(error.into()),
        Err(Refused::Elsewhere { .. } | Refused::OutOfOrder { .. }) => {}
    }
    let row = sqlx::query(WAITING).fetch_one(&mut *transaction).await?;
    let waiting =
        Waiting { messages: row.try_get("messages")?, jobs: row.try_get("jobs")?, webhooks: row.try_get("webhooks")? };
    if keep.is_none() && !waiting.is_empty() {
        return Ok(Adoption::Undecided(waiting));
    }
    let epoch = standing.epoch.max(standing.newest.unwrap_or(0)) + 1;
    for table in ["events", "audit_entries"] {
        // A number; what is altered takes no parameters.
        let new_default = format!("alter table {table} alter column log_epoch set default {epoch}");
        sqlx::query(&new_default).execute(&mut *transaction).await?;
    }
    sqlx::query(
        "update store_meta set system_identifier = $1, database_oid = $2::bigint::oid, log_epoch = $3, adopted_at = now()",
    )
    .bind(&standing.here.0)
    .bind(standing.here.1)
    .bind(epoch)
    .execute(&mut *transaction)
    .await?;
    if keep == Some(false) {
        for statement in GIVE_UP {
            sqlx::query(statement).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await?;
    Ok(Adoption::Adopted { epoch, waiting })
}
