//! Accounts people make themselves, the codes they verify with, and the letters the codes go out in.

mod asks;

use std::sync::Arc;

use application::actor::Actor;
use application::effects::Work;
use application::error::{AppError, AppResult};
use application::identity::letters::{Letter, Says};
use application::identity::registration::NewAccount;
use application::identity::users::{NewUser, UserView};
use application::identity::verification::{CODE_ATTEMPTS_MAX, NewCode, Reach, Verifications};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::{TenantId, UserId};
use domain::shared::preferences::Language;
use serde_json::{Value, json};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::post;
use crate::postgres::app_error;
use crate::postgres::audited::{AuditEntry, AuditedTx};
use crate::postgres::sessions::PgSessions;
use crate::postgres::users;
use crate::security::secret_box::SecretBox;
use crate::security::signatures::constant_time_eq;
use crate::security::verification_code::KeyedCodes;

/// Who may prove an e-mail address ($1): the one who asks ($2), else the last one who gave it. Not when somebody else
/// has proved it: an address has one owner.
const OF_EMAIL: &str = "
select u.id, coalesce(u.account_id, u.id), u.username, u.language from users u
 where lower(u.email) = $1 and u.email_verified_at is null and u.active and ($2::uuid is null or u.id = $2)
   and not exists (select from users o
                    where lower(o.email) = $1 and o.email_verified_at is not null and o.deleted_at is null)
 order by u.created_at desc, u.id desc limit 1";

/// Who may prove a phone ($1): the one who asks ($2), also when it is new to them, else the last one who gave it.
/// Nobody whose e-mail is not verified: messages cost money.
const OF_PHONE: &str = "
select u.id, coalesce(u.account_id, u.id), u.username, u.language from users u
 where not u.must_verify and u.active
   and case when $2::uuid is null then u.phone = $1 and u.phone_verified_at is null
            else u.id = $2 and (u.phone is distinct from $1 or u.phone_verified_at is null) end
 order by u.created_at desc, u.id desc limit 1";

const EMAIL_PROVEN: &str = "
update users u set email_verified_at = $3, must_verify = false
 where u.id = $1 and u.deleted_at is null and lower(u.email) = $2
   and not exists (select from users o where o.id <> u.id and lower(o.email) = $2
                      and o.email_verified_at is not null and o.deleted_at is null)
returning coalesce(u.account_id, u.id)";

const PHONE_PROVEN: &str = "update users set phone = $2, phone_verified_at = $3 where id = $1 and deleted_at is null
     returning coalesce(account_id, id)";

/// [`Verifications`] on Postgres.
pub struct PgVerifications {
    /// The database.
    pub pool: PgPool,
    /// Seals letters.
    pub secrets: SecretBox,
    /// Whose rights change.
    pub sessions: Arc<PgSessions>,
    /// Hashes addresses.
    pub codes: KeyedCodes,
}

impl PgVerifications {
    /// Queues a letter in this transaction. A newer one takes the place of one that waits.
    async fn queue(&self, conn: &mut PgConnection, user: Uuid, letter: &Letter) -> AppResult<()> {
        let work = Work::Letter { sealed: post::seal(&self.secrets, letter)? };
        sqlx::query(
            "insert into jobs (tenant_id, key, work, run_at) values ($1, $2, $3, now())
             on conflict (key) do update
                set work = excluded.work, run_at = excluded.run_at, attempts = 0, locked_until = null, lock_token = null,
                    dead = false, last_error = null",
        )
        .bind(letter.tenant.0)
        .bind(format!("letter:{user}:{}", letter.to.channel()))
        .bind(Json(work))
        .execute(conn)
        .await
        .map(drop)
        .map_err(app_error)
    }

    /// The letter's code becomes the person's only one on this channel.
    async fn put(&self, conn: &mut PgConnection, user: Uuid, code: &NewCode) -> AppResult<()> {
        sqlx::query(
            "insert into verification_codes (user_id, channel, address, code_hash, expires_at) values ($1, $2, $3, $4, $5)
             on conflict (user_id, channel) do update
                set address = excluded.address, code_hash = excluded.code_hash, expires_at = excluded.expires_at, attempts = 0",
        )
        .bind(user)
        .bind(code.reach.channel())
        .bind(code.reach.address())
        .bind(&code.hash)
        .bind(code.expires_at)
        .execute(conn)
        .await
        .map(drop)
        .map_err(app_error)
    }
}

#[async_trait]
impl Verifications for PgVerifications {
    async fn register(
        &self,
        id: UserId,
        account: &NewAccount,
        password_hash: &str,
        code: &NewCode,
    ) -> AppResult<UserView> {
        let new = NewUser { email: code.reach.address().to_owned(), ..account.user.clone() };
        let mut tx = AuditedTx::begin(&self.pool).await?;
        users::lock_names(tx.conn()).await?;
        users::insert(tx.conn(), id, &new, password_hash, code.at).await?;
        let user = users::must_verify(tx.conn(), id, account.phone.as_ref(), account.language).await?;
        asks::count(tx.conn(), &self.codes, code).await?;
        let owner = sqlx::query_scalar(
            "select username from users where lower(email) = $1 and email_verified_at is not null and deleted_at is null
              order by created_at, id limit 1",
        );
        let owner: Option<String> =
            owner.bind(code.reach.address()).fetch_optional(tx.conn()).await.map_err(app_error)?;
        let says = match owner {
            Some(username) => Says::AlreadyYours { username },
            None => {
                self.put(tx.conn(), id.0, code).await?;
                Says::Code { code: code.code.clone(), username: new.username.clone() }
            }
        };
        self.queue(tx.conn(), id.0, &letter(code, code.language, TenantId(id.0), says)).await?;
        let details = json!({ "username": new.username, "email": new.email, "displayName": new.display_name,
                              "phone": account.phone, "language": account.language });
        tx.commit(entry(id.0, Actor::User(id), "user.registered", id.0, details)).await?;
        Ok(user)
    }

    async fn send(&self, asker: Option<UserId>, code: &NewCode) -> AppResult<()> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        asks::count(tx.conn(), &self.codes, code).await?;
        let sql = match code.reach {
            Reach::Email(_) => OF_EMAIL,
            Reach::Phone(_) => OF_PHONE,
        };
        let found: Option<(Uuid, Uuid, String, Option<String>)> = sqlx::query_as(sql)
            .bind(code.reach.address())
            .bind(asker.map(|user| user.0))
            .fetch_optional(tx.conn())
            .await
            .map_err(app_error)?;
        let Some((user, tenant, username, language)) = found else { return tx.commit_without_entry().await };
        self.put(tx.conn(), user, code).await?;
        let language = language.as_deref().and_then(Language::from_word).unwrap_or(code.language);
        let says = Says::Code { code: code.code.clone(), username };
        self.queue(tx.conn(), user, &letter(code, language, TenantId(tenant), says)).await?;
        let details = json!({ "channel": code.reach.channel(), "address": code.reach.address() });
        tx.commit(by_asker(tenant, asker, "code.sent", user, details)).await
    }

    async fn attempt(&self, asker: Option<UserId>, reach: &Reach, hash: &str, at: DateTime<Utc>) -> AppResult<bool> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        let tried: Vec<(Uuid, String, i16)> = sqlx::query_as(
            "update verification_codes v set attempts = v.attempts + 1
               from (select user_id from verification_codes
                      where channel = $1 and address = $2 and expires_at > $3 and attempts < $4
                        and ($5::uuid is null or user_id = $5)
                      order by user_id for update) living
              where v.user_id = living.user_id and v.channel = $1 returning v.user_id, v.code_hash, v.attempts",
        )
        .bind(reach.channel())
        .bind(reach.address())
        .bind(at)
        .bind(CODE_ATTEMPTS_MAX)
        .bind(asker.map(|user| user.0))
        .fetch_all(tx.conn())
        .await
        .map_err(app_error)?;
        let Some((first, _, attempts)) = tried.first() else {
            tx.commit_without_entry().await?;
            return Ok(false);
        };
        let Some((user, ..)) = tried.iter().find(|(_, kept, _)| constant_time_eq(hash, kept)) else {
            let tenant = account_of(tx.conn(), *first).await?;
            let details = json!({ "channel": reach.channel(), "attempts": attempts });
            tx.commit(by_asker(tenant, asker, "code.refused", *first, details)).await?;
            return Ok(false);
        };
        self.prove(tx, *user, reach, at).await
    }

    async fn lines(&self, tenant: TenantId) -> AppResult<Vec<String>> {
        sqlx::query_scalar(
            "select phone_number_id from whatsapp_lines
              where stopped_at is null and tenant_id in ($1, (select id from users where role = 'admin' and active
                                                               order by created_at, id limit 1))
              order by tenant_id = $1 desc, is_primary desc, updated_at, phone_number_id",
        )
        .bind(tenant.0)
        .fetch_all(&self.pool)
        .await
        .map_err(app_error)
    }
}

impl PgVerifications {
    /// The code is used up, and the address is the person's, unless it became somebody else's meanwhile.
    async fn prove(&self, mut tx: AuditedTx, user: Uuid, reach: &Reach, at: DateTime<Utc>) -> AppResult<bool> {
        // Two people with one address: the first one has it.
        users::lock_names(tx.conn()).await?;
        let (sql, action) = match reach {
            Reach::Email(_) => (EMAIL_PROVEN, "email.verified"),
            Reach::Phone(_) => (PHONE_PROVEN, "phone.verified"),
        };
        let proven = sqlx::query_scalar(sql).bind(user).bind(reach.address()).bind(at);
        let proven: Option<Uuid> = proven.fetch_optional(tx.conn()).await.map_err(app_error)?;
        let used = "delete from verification_codes where channel = $1 and (user_id = $2 or $3 and address = $4)";
        let others_too = matches!(reach, Reach::Email(_)) && proven.is_some();
        let used = sqlx::query(used).bind(reach.channel()).bind(user).bind(others_too).bind(reach.address());
        used.execute(tx.conn()).await.map_err(app_error)?;
        match proven {
            Some(tenant) => {
                let details = json!({ "address": reach.address() });
                tx.commit(entry(tenant, Actor::User(UserId(user)), action, user, details)).await?;
                self.sessions.forget();
                Ok(true)
            }
            None => tx.commit_without_entry().await.map(|()| false),
        }
    }
}

fn letter(code: &NewCode, language: Language, tenant: TenantId, says: Says) -> Letter {
    Letter { to: code.reach.clone(), language, tenant, says, expires_at: code.expires_at }
}

async fn account_of(conn: &mut PgConnection, user: Uuid) -> AppResult<Uuid> {
    let sql = "select coalesce(account_id, id) from users where id = $1";
    let account: Option<Uuid> = sqlx::query_scalar(sql).bind(user).fetch_optional(conn).await.map_err(app_error)?;
    account.ok_or(AppError::NotFound("user"))
}

fn by_asker(tenant: Uuid, asker: Option<UserId>, action: &'static str, user: Uuid, details: Value) -> AuditEntry {
    let actor = asker.map_or_else(|| "anonymous".to_owned(), |user| Actor::User(user).to_string());
    AuditEntry { tenant: Some(tenant), actor, action, subject: user.to_string(), details }
}

fn entry(tenant: Uuid, actor: Actor, action: &'static str, user: Uuid, details: Value) -> AuditEntry {
    AuditEntry { tenant: Some(tenant), actor: actor.to_string(), action, subject: user.to_string(), details }
}
