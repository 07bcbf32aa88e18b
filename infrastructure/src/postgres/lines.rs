//! The lines accounts send on, their secrets sealed.

use std::sync::Arc;
use std::time::Duration;

use application::actor::Session;
use application::channels::Line;
use application::channels::lines::{LineStore, LineView, NewLine};
use application::conversations::ports::{LineDirectory, LineFacts};
use application::error::{AppError, AppResult};
use application::templates::accounts::{AccountDirectory, BusinessAccount};
use application::time::Stamp;
use async_trait::async_trait;
use domain::shared::ids::TenantId;
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};
use subtle::{Choice, ConstantTimeEq};
use uuid::Uuid;

use crate::postgres::audited::{AuditEntry, AuditedTx};
use crate::postgres::line_stops::go_on;
use crate::postgres::ttl_cache::TtlCache;
use crate::postgres::{Remembers, app_error, taken_or};
use crate::security::secret_box::{SecretBox, place};

/// How long another node may use a line as it was before a change.
const CACHE_TTL: Duration = Duration::from_secs(2);
/// Lines remembered.
const CACHE_ENTRIES: usize = 10_000;
/// Tokens shorter than this show nothing of themselves.
const TAIL_FROM_CHARS: usize = 8;
/// Characters of a token that are shown.
const TAIL_CHARS: usize = 4;

/// The places secrets are sealed for.
pub(crate) const ACCESS_TOKEN: &str = "whatsapp_lines.access_token";
pub(crate) const APP_SECRET: &str = "whatsapp_lines.app_secret";
pub(crate) const VERIFY_TOKEN: &str = "whatsapp_lines.verify_token";

macro_rules! view_columns {
    () => {
        "phone_number_id, waba_id, display_phone_number, access_token_tail, app_secret_sealed is not null as has_app_secret,
         verify_token_sealed is not null as has_verify_token, is_primary, coexistence, messages_per_second, pair_limit, stopped_reason,
         updated_at"
    };
}

/// What a webhook or a send needs of a line. Secrets stay sealed here and are opened where they are used.
struct LineRow {
    facts: LineFacts,
    access_token_sealed: String,
    app_secret_sealed: Option<String>,
    messages_per_second: u32,
    pair_limit: bool,
    stopped: bool,
}

/// What a line's sealed value is bound to.
pub(crate) fn place_of(tenant: TenantId, column: &str) -> String {
    place(tenant, column)
}

/// [`LineStore`] and [`LineDirectory`] on Postgres.
pub struct PgLines {
    pool: PgPool,
    secrets: SecretBox,
    lines: TtlCache<String, Arc<LineRow>>,
    verify_tokens: TtlCache<(), Arc<[[u8; 32]]>>,
}

impl PgLines {
    /// Lines in this database, their secrets sealed in this box.
    pub fn new(pool: PgPool, secrets: SecretBox) -> Self {
        let (lines, verify_tokens) = (TtlCache::new(CACHE_ENTRIES, CACHE_TTL), TtlCache::new(1, CACHE_TTL));
        Self { pool, secrets, lines, verify_tokens }
    }

    async fn line(&self, phone_number_id: &str) -> AppResult<Option<Arc<LineRow>>> {
        let load = async {
            sqlx::query(
                "select l.tenant_id, l.phone_number_id, l.waba_id, u.timezone, l.access_token_sealed, l.app_secret_sealed,
                        l.messages_per_second, l.pair_limit, l.stopped_at is not null as stopped
                   from whatsapp_lines l join users u on u.id = l.tenant_id
                  where l.phone_number_id = $1",
            )
            .bind(phone_number_id)
            .try_map(|row: PgRow| line_row(&row).map(Arc::new))
            .fetch_optional(&self.pool)
            .await
        };
        self.lines.read(phone_number_id.to_owned(), load).await.map_err(app_error)
    }

    pub(super) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(super) fn forget(&self, phone_number_id: &str) {
        self.lines.remove(phone_number_id);
        self.verify_tokens.clear();
    }

    fn seal(&self, tenant: TenantId, column: &str, secret: Option<&str>) -> AppResult<Option<String>> {
        let seal = |secret: &str| self.secrets.seal(secret.as_bytes(), &place_of(tenant, column));
        secret.map(seal).transpose().map_err(AppError::internal)
    }

    fn unseal(&self, tenant: TenantId, column: &str, sealed: &str) -> AppResult<String> {
        let opened = self.secrets.open(sealed, &place_of(tenant, column)).map_err(AppError::internal)?;
        String::from_utf8(opened).map_err(|_| AppError::internal("a sealed value is no text"))
    }

    /// What is written of a line; absent secrets stay as they are, empty ones are removed.
    fn sealed(&self, tenant: TenantId, line: &NewLine) -> AppResult<SealedLine> {
        let given = |secret: &Option<String>| secret.as_deref().map(str::to_owned).filter(|it| !it.is_empty());
        Ok(SealedLine {
            access_token: self.seal(tenant, ACCESS_TOKEN, line.access_token.as_deref())?,
            access_token_tail: line.access_token.as_deref().map(tail),
            app_secret: self.seal(tenant, APP_SECRET, given(&line.app_secret).as_deref())?,
            drop_app_secret: line.app_secret.as_deref() == Some(""),
            verify_token: self.seal(tenant, VERIFY_TOKEN, given(&line.verify_token).as_deref())?,
            drop_verify_token: line.verify_token.as_deref() == Some(""),
        })
    }
}

impl Remembers for PgLines {
    fn forget_all(&self) {
        self.lines.clear();
        self.verify_tokens.clear();
    }
}

struct SealedLine {
    access_token: Option<String>,
    access_token_tail: Option<String>,
    app_secret: Option<String>,
    drop_app_secret: bool,
    verify_token: Option<String>,
    drop_verify_token: bool,
}

#[async_trait]
impl LineStore for PgLines {
    async fn list(&self, tenant: TenantId) -> AppResult<Vec<LineView>> {
        let sql = concat!(
            "select ",
            view_columns!(),
            " from whatsapp_lines where tenant_id = $1 order by is_primary desc, phone_number_id"
        );
        let query = sqlx::query(sql).bind(tenant.0).try_map(|row: PgRow| line_view(&row));
        query.fetch_all(&self.pool).await.map_err(app_error)
    }

    async fn save(&self, session: &Session, line: &NewLine, messages_per_second: u32) -> AppResult<LineView> {
        let tenant = session.tenant;
        let sealed = self.sealed(tenant, line)?;
        let rate =
            i32::try_from(messages_per_second).map_err(|_| AppError::invalid("messagesPerSecond is 1 to 1000"))?;
        let mut tx = AuditedTx::begin(&self.pool).await?;
        let found = lock(tx.conn(), tenant, &line.phone_number_id).await?;
        if !found.exists && sealed.access_token.is_none() {
            return Err(AppError::invalid("a new line needs an accessToken"));
        }
        // An account with lines always has a primary one: it stops being that only when another becomes it.
        let primary = line.is_primary || found.is_primary || !found.has_primary;
        if primary {
            sqlx::query("update whatsapp_lines set is_primary = false where tenant_id = $1 and is_primary and phone_number_id <> $2")
                .bind(tenant.0)
                .bind(&line.phone_number_id)
                .execute(tx.conn())
                .await
                .map_err(app_error)?;
        }
        let sql = if found.exists { UPDATE } else { INSERT };
        let query = sqlx::query(sql)
            .bind(&line.phone_number_id)
            .bind(tenant.0)
            .bind(&line.waba_id)
            .bind(&line.display_phone_number)
            .bind(sealed.access_token)
            .bind(sealed.access_token_tail)
            .bind(sealed.app_secret)
            .bind(sealed.verify_token)
            .bind(primary)
            .bind(line.coexistence)
            .bind(rate)
            .bind(line.pair_limit);
        let query =
            if found.exists { query.bind(sealed.drop_app_secret).bind(sealed.drop_verify_token) } else { query };
        let view = query
            .try_map(|row: PgRow| line_view(&row))
            .fetch_one(tx.conn())
            .await
            .map_err(|error| taken_or(error, TAKEN_CODE, TAKEN))?;
        if found.stopped {
            go_on(tx.conn(), session, &line.phone_number_id, "saved").await?;
        }
        tx.commit(saved(session, line, &view)).await?;
        self.forget(&line.phone_number_id);
        Ok(view)
    }

    async fn open(&self, phone_number_id: &str) -> AppResult<Option<Line>> {
        let Some(row) = self.line(phone_number_id).await?.filter(|row| !row.stopped) else { return Ok(None) };
        let tenant = row.facts.tenant;
        Ok(Some(Line {
            tenant,
            phone_number_id: row.facts.phone_number_id.clone(),
            access_token: self.unseal(tenant, ACCESS_TOKEN, &row.access_token_sealed)?,
            messages_per_second: row.messages_per_second,
            pair_limit: row.pair_limit,
        }))
    }

    async fn app_secret(&self, phone_number_id: &str) -> AppResult<Option<String>> {
        let Some(row) = self.line(phone_number_id).await? else { return Ok(None) };
        let sealed = row.app_secret_sealed.as_deref();
        sealed.map(|sealed| self.unseal(row.facts.tenant, APP_SECRET, sealed)).transpose()
    }

    async fn of_business_accounts(&self, waba_ids: &[String]) -> AppResult<Vec<String>> {
        let sql = "select phone_number_id from whatsapp_lines where waba_id = any($1) order by phone_number_id";
        sqlx::query_scalar(sql).bind(waba_ids).fetch_all(&self.pool).await.map_err(app_error)
    }

    async fn has_verify_token(&self, token: &str) -> AppResult<bool> {
        let load = async {
            let sql = "select tenant_id, verify_token_sealed from whatsapp_lines where verify_token_sealed is not null";
            let rows: Vec<(Uuid, String)> = sqlx::query_as(sql).fetch_all(&self.pool).await.map_err(app_error)?;
            let digests = rows.iter().filter_map(|(tenant, sealed)| {
                let opened = self.unseal(TenantId(*tenant), VERIFY_TOKEN, sealed);
                let known =
                    opened.inspect_err(|_| tracing::warn!(tenant = %tenant, "A verify token does not open")).ok();
                known.map(|known| digest(&known))
            });
            Ok::<_, AppError>(Some(digests.collect()))
        };
        let known: Arc<[[u8; 32]]> = self.verify_tokens.read((), load).await?.unwrap_or_default();
        let wanted = digest(token);
        let found = known.iter().fold(Choice::from(0), |found, it| found | it[..].ct_eq(&wanted[..]));
        Ok(found.into())
    }
}

#[async_trait]
impl LineDirectory for PgLines {
    async fn find(&self, phone_number_id: &str) -> AppResult<Option<LineFacts>> {
        Ok(self.line(phone_number_id).await?.map(|row| row.facts.clone()))
    }

    async fn choose(&self, tenant: TenantId, wanted: Option<&str>) -> AppResult<Option<LineFacts>> {
        if let Some(wanted) = wanted {
            return Ok(self.find(wanted).await?.filter(|line| line.tenant == tenant));
        }
        let sql = "select phone_number_id from whatsapp_lines where tenant_id = $1
                    order by is_primary desc, updated_at, phone_number_id limit 1";
        let chosen: Option<(String,)> =
            sqlx::query_as(sql).bind(tenant.0).fetch_optional(&self.pool).await.map_err(app_error)?;
        match chosen {
            Some((phone_number_id,)) => self.find(&phone_number_id).await,
            None => Ok(None),
        }
    }
}

#[async_trait]
impl AccountDirectory for PgLines {
    async fn of(&self, tenant: TenantId) -> AppResult<Vec<BusinessAccount>> {
        let sql = "select waba_id, access_token_sealed from whatsapp_lines where tenant_id = $1
                    order by is_primary desc, updated_at, phone_number_id";
        let rows: Vec<(String, String)> =
            sqlx::query_as(sql).bind(tenant.0).fetch_all(&self.pool).await.map_err(app_error)?;
        let mut accounts: Vec<BusinessAccount> = Vec::new();
        for (waba_id, sealed) in rows {
            if !accounts.iter().any(|account| account.waba_id == waba_id) {
                let access_token = self.unseal(tenant, ACCESS_TOKEN, &sealed)?;
                accounts.push(BusinessAccount { tenant, waba_id, access_token });
            }
        }
        Ok(accounts)
    }
}

/// What both say of a line that is there already, whoever has it.
const TAKEN_CODE: &str = "line_taken";
const TAKEN: &str = "this phone number id is in use already";

const INSERT: &str = concat!(
    "insert into whatsapp_lines (phone_number_id, tenant_id, waba_id, display_phone_number, access_token_sealed,
        access_token_tail, app_secret_sealed, verify_token_sealed, is_primary, coexistence, messages_per_second, pair_limit)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
     returning ",
    view_columns!()
);

const UPDATE: &str = concat!(
    "update whatsapp_lines set waba_id = $3, display_phone_number = $4,
        access_token_sealed = coalesce($5, access_token_sealed), access_token_tail = coalesce($6, access_token_tail),
        app_secret_sealed = case when $13 then null else coalesce($7, app_secret_sealed) end,
        verify_token_sealed = case when $14 then null else coalesce($8, verify_token_sealed) end,
        is_primary = $9, coexistence = $10, messages_per_second = $11, pair_limit = $12,
        stopped_reason = null, stopped_at = null, updated_at = now()
      where phone_number_id = $1 and tenant_id = $2 returning ",
    view_columns!()
);

/// What stands in the way of a save.
struct Found {
    exists: bool,
    is_primary: bool,
    has_primary: bool,
    stopped: bool,
}

/// Lets one save of an account happen at a time, and looks at what is there.
async fn lock(conn: &mut PgConnection, tenant: TenantId, phone_number_id: &str) -> AppResult<Found> {
    let account =
        sqlx::query("select from users where id = $1 and deleted_at is null for no key update").bind(tenant.0);
    account.fetch_optional(&mut *conn).await.map_err(app_error)?.ok_or(AppError::NotFound("user"))?;
    let sql = "select tenant_id, is_primary, stopped_at is not null from whatsapp_lines where phone_number_id = $1 for update";
    let line: Option<(Uuid, bool, bool)> =
        sqlx::query_as(sql).bind(phone_number_id).fetch_optional(&mut *conn).await.map_err(app_error)?;
    if line.is_some_and(|(owner, ..)| owner != tenant.0) {
        return Err(AppError::Conflict { code: TAKEN_CODE, message: TAKEN.to_owned() });
    }
    let sql = "select exists (select from whatsapp_lines where tenant_id = $1 and is_primary)";
    let has_primary = sqlx::query_scalar(sql).bind(tenant.0).fetch_one(conn).await.map_err(app_error)?;
    let (is_primary, stopped) = line.map_or((false, false), |(_, primary, stopped)| (primary, stopped));
    Ok(Found { exists: line.is_some(), is_primary, has_primary, stopped })
}

fn saved(session: &Session, line: &NewLine, view: &LineView) -> AuditEntry {
    AuditEntry {
        tenant: Some(session.tenant.0),
        actor: session.cause().actor.to_string(),
        action: "line.saved",
        subject: line.phone_number_id.clone(),
        details: json!({
            "wabaId": view.waba_id, "displayPhoneNumber": view.display_phone_number, "isPrimary": view.is_primary,
            "coexistence": view.coexistence, "messagesPerSecond": view.messages_per_second,
            "accessTokenChanged": line.access_token.is_some(), "appSecretChanged": line.app_secret.is_some(),
            "verifyTokenChanged": line.verify_token.is_some(),
        }),
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// A token's last characters, where they give little of it away.
fn tail(token: &str) -> String {
    let length = token.chars().count();
    if length < TAIL_FROM_CHARS { String::new() } else { token.chars().skip(length - TAIL_CHARS).collect() }
}

fn rate(row: &PgRow) -> sqlx::Result<u32> {
    Ok(u32::try_from(row.try_get::<i32, _>("messages_per_second")?).unwrap_or(1))
}

fn line_row(row: &PgRow) -> sqlx::Result<LineRow> {
    let timezone = row.try_get::<&str, _>("timezone")?.parse().unwrap_or_default();
    let tenant = TenantId(row.try_get("tenant_id")?);
    Ok(LineRow {
        facts: LineFacts {
            tenant,
            phone_number_id: row.try_get("phone_number_id")?,
            waba_id: row.try_get("waba_id")?,
            timezone,
        },
        access_token_sealed: row.try_get("access_token_sealed")?,
        app_secret_sealed: row.try_get("app_secret_sealed")?,
        messages_per_second: rate(row)?,
        pair_limit: row.try_get("pair_limit")?,
        stopped: row.try_get("stopped")?,
    })
}

fn line_view(row: &PgRow) -> sqlx::Result<LineView> {
    Ok(LineView {
        phone_number_id: row.try_get("phone_number_id")?,
        waba_id: row.try_get("waba_id")?,
        display_phone_number: row.try_get("display_phone_number")?,
        has_access_token: true,
        access_token_last4: row.try_get("access_token_tail")?,
        has_app_secret: row.try_get("has_app_secret")?,
        has_verify_token: row.try_get("has_verify_token")?,
        is_primary: row.try_get("is_primary")?,
        coexistence: row.try_get("coexistence")?,
        messages_per_second: rate(row)?,
        pair_limit: row.try_get("pair_limit")?,
        stopped_reason: row.try_get("stopped_reason")?,
        updated_at: Stamp(row.try_get("updated_at")?),
    })
}
