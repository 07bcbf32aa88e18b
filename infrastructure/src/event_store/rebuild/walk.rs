//! The way through the live table and a new one, account by account and key by key: what is compared, and what came of it.

use application::projections::{Difference, Differences};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

/// Keys that are named.
const SAMPLE: usize = 20;
/// Accounts that are compared together at most, however short they are.
const ACCOUNTS: i64 = 8;

/// How far it has come.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Walk {
    /// The live generation that the other is held against.
    pub against: i32,
    /// The last account that was begun.
    account: Option<Uuid>,
    /// Of that account, when it is not done.
    left: Option<Left>,
    /// What was found on the way.
    pub differences: Differences,
}

/// What is left of an account.
#[derive(Debug, Serialize, Deserialize)]
struct Left {
    after: String,
    /// Its last key when it was begun: what is made meanwhile is not run after.
    last: String,
}

impl Walk {
    /// Compares the next `keys` at most, of one account or of several short ones; false when there is no more.
    ///
    /// # Errors
    /// The database.
    pub async fn go_on(
        &mut self,
        connection: &mut PgConnection,
        tables: [&str; 2],
        keys: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut may = keys;
        while may > 0 {
            let (account, left) = match (self.account, self.left.take()) {
                (Some(account), Some(left)) => (account, left),
                _ => match next_account(&mut *connection, tables, self.account).await? {
                    Some(next) => next,
                    None => return Ok(false),
                },
            };
            self.account = Some(account);
            may -= self.compare(&mut *connection, tables, account, left, may).await?.max(keys / ACCOUNTS);
        }
        Ok(true)
    }

    /// Compares a range of an account; how many keys that was. By account and key, each on its own: bounds of both at
    /// once, as rows, would be looked for from the account's first key on.
    async fn compare(
        &mut self,
        connection: &mut PgConnection,
        [live, building]: [&str; 2],
        account: Uuid,
        Left { after, last }: Left,
        keys: i64,
    ) -> Result<i64, sqlx::Error> {
        let range = |table| {
            format!(
                "(select key, body from {table} where tenant_id = $1 and key > $2 and key <= $3 order by key limit $4)"
            )
        };
        // Both are known as far as the first of their last keys; a table that has none has none up to the end.
        let statement = format!(
            "with l as materialized {}, b as materialized {},
                  e as (select least((select max(key) from l), (select max(key) from b), $3) as until),
                  d as (select coalesce(l.key, b.key) as key,
                               case when b.key is null then 'missing' when l.key is null then 'extra' else 'changed' end as kind
                          from l full join b using (key) where l.body is distinct from b.body)
             select e.until, greatest((select count(*) from l), (select count(*) from b)) as keys, d.key, d.kind
               from e left join d on d.key <= e.until order by d.key",
            range(live),
            range(building),
        );
        let query = sqlx::query(&statement).bind(account).bind(&after).bind(&last).bind(keys);
        let (mut until, mut compared) = (last.clone(), 0);
        for row in &query.fetch_all(connection).await? {
            (until, compared) = (row.try_get("until")?, row.try_get("keys")?);
            if let Some(key) = row.try_get("key")? {
                self.note(Difference { account_id: account, key, kind: row.try_get("kind")? });
            }
        }
        self.left = (until != last).then_some(Left { after: until, last });
        Ok(compared)
    }

    fn note(&mut self, difference: Difference) {
        match difference.kind.as_str() {
            "missing" => self.differences.missing += 1,
            "extra" => self.differences.extra += 1,
            _ => self.differences.changed += 1,
        }
        if self.differences.sample.len() < SAMPLE {
            self.differences.sample.push(difference);
        }
    }
}

/// The next account that either table has documents of.
async fn next_account(
    connection: &mut PgConnection,
    [live, building]: [&str; 2],
    account: Option<Uuid>,
) -> Result<Option<(Uuid, Left)>, sqlx::Error> {
    let next = |table| format!("(select tenant_id from {table} where tenant_id > $1 order by tenant_id limit 1)");
    let last = |table| format!("(select key from {table} where tenant_id = a.next order by key desc limit 1)");
    let statement = format!(
        "with a as materialized (select least({}, {}) as next)
         select a.next, greatest({}, {}) as last from a where a.next is not null",
        next(live),
        next(building),
        last(live),
        last(building),
    );
    // A bound that is not there would be no bound: the index would be walked from its beginning.
    let row = sqlx::query(&statement).bind(account.unwrap_or_default()).fetch_optional(connection).await?;
    row.map(|row| Ok((row.try_get("next")?, Left { after: String::new(), last: row.try_get("last")? }))).transpose()
}
