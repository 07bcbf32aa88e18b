//! Dense numbers of events: the number before their batch, and their place in it.

use application::log::Position;
use sqlx::{PgExecutor, Row};

/// The limit inside makes the order matter, so that the index of the log's order is walked and nothing else.
const NUMBERS: &str = "
select p.n, s.first_number + place.before as number
  from unnest($1::smallint[], $2::text[], $3::bigint[]) with ordinality as p(epoch, transaction, number, n)
  cross join lateral (
        select s.batch, s.first_number from seals s
         where (s.log_epoch, s.transaction_id, s.position) >= (p.epoch, p.transaction::xid8, p.number)
         order by s.log_epoch, s.transaction_id, s.position limit 1) s
  left join seals b on b.batch = s.batch - 1
  cross join lateral (
        select count(*) as before from (
            select from events e
             where (e.log_epoch, e.transaction_id, e.global_position)
                   > (coalesce(b.log_epoch, 0::smallint), coalesce(b.transaction_id, '0'::xid8), coalesce(b.position, 0))
               and (e.log_epoch, e.transaction_id, e.global_position) < (p.epoch, p.transaction::xid8, p.number)
             order by e.log_epoch, e.transaction_id, e.global_position limit 1000) e) place";

/// The dense numbers of events at these places, in the order they were asked for; none while an event is not sealed.
/// Meant for a page: up to 200 places.
///
/// # Errors
/// The database.
pub async fn numbers(executor: impl PgExecutor<'_>, places: &[Position]) -> Result<Vec<Option<i64>>, sqlx::Error> {
    let rows = sqlx::query(NUMBERS)
        .bind(places.iter().map(|place| place.epoch).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.transaction.to_string()).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.number).collect::<Vec<_>>())
        .fetch_all(executor)
        .await?;
    let mut numbers = vec![None; places.len()];
    for row in rows {
        let place: i64 = row.try_get("n")?;
        if let Some(number) = usize::try_from(place - 1).ok().and_then(|n| numbers.get_mut(n)) {
            *number = Some(row.try_get("number")?);
        }
    }
    Ok(numbers)
}
