//! `flowbot user create`.

use std::sync::Arc;

use application::identity::Identity;
use application::identity::users::NewUser;
use infrastructure::clock::{RandomIds, SystemClock};
use infrastructure::postgres::api_clients::PgApiClients;
use infrastructure::postgres::sessions::PgSessions;
use infrastructure::postgres::signing_keys::PgSigningKeys;
use infrastructure::postgres::users::PgUsers;
use infrastructure::security::api_key::ApiCredentials;
use infrastructure::security::ports::{Argon2Passwords, HashedApiKeys, JwtTokens};
use sqlx::PgPool;

use crate::config::{self, Config, UserRole};

/// Makes a person.
///
/// # Errors
/// A field breaks a bound, or the name is taken.
pub async fn create(pool: &PgPool, config: &Config, new: config::NewUser) -> anyhow::Result<()> {
    let clock = Arc::new(SystemClock);
    let key = config.secret_key.as_ref().map_or([0; 32], |key| *key.expose());
    let sessions = Arc::new(PgSessions::new(pool.clone()));
    let identity = Identity {
        users: Arc::new(PgUsers::new(pool.clone(), Arc::clone(&sessions))),
        clients: Arc::new(PgApiClients::new(pool.clone(), Arc::clone(&sessions))),
        sessions,
        passwords: Arc::new(Argon2Passwords),
        // Nothing is signed here.
        tokens: Arc::new(JwtTokens {
            keys: Arc::new(PgSigningKeys::new(pool.clone(), key, None)),
            clock: clock.clone(),
        }),
        keys: Arc::new(HashedApiKeys),
        clock,
        ids: Arc::new(RandomIds),
    };
    let generated = new.password.is_none();
    let password = match new.password {
        Some(password) => password.expose().clone(),
        None => ApiCredentials::generate()?.secret_key,
    };
    let user = NewUser {
        email: new.email.unwrap_or_else(|| format!("{}@localhost.localdomain", new.username)),
        display_name: new.display_name.unwrap_or_else(|| new.username.clone()),
        username: new.username,
        password: password.clone(),
        admin: new.role == UserRole::Admin,
    };
    let user = identity.add_user(None, user).await?;
    say!("Made `{}` ({}), {}", user.username, user.id, user.role);
    if generated {
        say!("The password is {password}");
    }
    Ok(())
}
