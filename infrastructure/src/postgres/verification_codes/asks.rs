//! How often codes may be asked for: once a minute and five times an hour for an address, whoever asks.

use std::time::Duration;

use application::error::{AppError, AppResult};
use application::identity::verification::{CODES_AN_HOUR_MAX, Codes, NewCode, RESEND_AFTER_SEC};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::postgres::app_error;
use crate::security::verification_code::KeyedCodes;

const COUNT: &str = "
insert into verification_asks as a (address_hash, asked_at, hour_began, asks) values ($1, $2, $2, 1)
on conflict (address_hash) do update
   set asked_at = $2,
       hour_began = case when a.hour_began <= $2 - interval '1 hour' then $2 else a.hour_began end,
       asks = case when a.hour_began <= $2 - interval '1 hour' then 1 else a.asks + 1 end
 where a.asked_at <= $2 - make_interval(secs => $3) and (a.hour_began <= $2 - interval '1 hour' or a.asks < $4)
returning true";

/// Counts one ask for the code's address, known or not.
///
/// # Errors
/// It was asked for too often; refused asks count for nothing.
pub(super) async fn count(conn: &mut PgConnection, codes: &KeyedCodes, code: &NewCode) -> AppResult<()> {
    let most = i32::try_from(CODES_AN_HOUR_MAX).unwrap_or(i32::MAX);
    let key = codes.hash(&code.reach, "");
    let counted: Option<bool> = sqlx::query_scalar(COUNT)
        .bind(&key)
        .bind(code.at)
        .bind(f64::from(RESEND_AFTER_SEC))
        .bind(most)
        .fetch_optional(&mut *conn)
        .await
        .map_err(app_error)?;
    if counted.is_some() {
        return Ok(());
    }
    let sql = "select asked_at, hour_began, asks from verification_asks where address_hash = $1";
    let (asked, hour, asks): (DateTime<Utc>, DateTime<Utc>, i32) =
        sqlx::query_as(sql).bind(&key).fetch_one(conn).await.map_err(app_error)?;
    let next = asked + TimeDelta::seconds(i64::from(RESEND_AFTER_SEC));
    let next = if asks >= most { next.max(hour + TimeDelta::hours(1)) } else { next };
    let wait = u64::try_from((next - code.at).num_seconds()).unwrap_or_default();
    Err(AppError::TooMany { wait: Duration::from_secs(wait + 1) })
}
