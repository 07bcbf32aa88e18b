//! Passwords: Argon2id with OWASP's floor (19 MiB, 2 passes, 1 lane), off the async threads.

use anyhow::{Context, anyhow, ensure};
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::security::random_bytes;

/// The longest password taken, in bytes; longer ones only burn time.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// How many hashes are worked on at once: each holds 19 MiB, so a flood of logins stays below 80 MiB.
const HASHES_AT_ONCE_MAX: usize = 4;
static SLOTS: Semaphore = Semaphore::const_new(HASHES_AT_ONCE_MAX);

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Stands in for the hash of a user who does not exist; nothing is known to lead to it.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The hash to store for `password`, as a PHC string with its own random salt.
///
/// # Errors
/// When the password is longer than [`PASSWORD_BYTES_MAX`], or the system has no randomness or memory.
pub async fn hash(password: &str) -> anyhow::Result<String> {
    ensure!(password.len() <= PASSWORD_BYTES_MAX, "a password has at most {PASSWORD_BYTES_MAX} bytes");
    let password = password.to_owned();
    let _slot = SLOTS.acquire().await?;
    spawn_blocking(move || {
        let salt = SaltString::encode_b64(&random_bytes::<16>()?).map_err(|error| anyhow!("salt: {error}"))?;
        let hash = argon2().hash_password(password.as_bytes(), &salt).map_err(|error| anyhow!("argon2: {error}"))?;
        Ok(hash.to_string())
    })
    .await
    .context("hashing a password was cut short")?
}

/// Whether `password` is the one behind `stored`. With no stored hash (an unknown user) it does the same
/// work against a dummy and says no, so that the time taken does not tell who exists.
///
/// # Errors
/// When `stored` is no Argon2 hash.
pub async fn verify_or_dummy(stored: Option<&str>, password: &str) -> anyhow::Result<bool> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Ok(false);
    }
    let known = stored.is_some();
    let stored = stored.unwrap_or(DUMMY_HASH).to_owned();
    let password = password.to_owned();
    let _slot = SLOTS.acquire().await?;
    metrics::counter!("password_checks_total").increment(1);
    let matches = spawn_blocking(move || {
        let parsed =
            PasswordHash::new(&stored).map_err(|error| anyhow!("a stored password hash is malformed: {error}"))?;
        Ok::<_, anyhow::Error>(argon2().verify_password(password.as_bytes(), &parsed).is_ok())
    })
    .await
    .context("checking a password was cut short")??;
    Ok(matches && known)
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the constants are within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_fits_its_password_alone() {
        let stored = hash("correct horse").await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify_or_dummy(Some(&stored), "correct horse").await.unwrap());
        assert!(!verify_or_dummy(Some(&stored), "correct horsf").await.unwrap());
        assert_ne!(stored, hash("correct horse").await.unwrap(), "every hash has its own salt");
    }

    #[tokio::test]
    async fn an_unknown_user_is_refused_after_the_same_work() {
        assert!(PasswordHash::new(DUMMY_HASH).is_ok());
        assert!(!verify_or_dummy(None, "anything").await.unwrap());
        let params = Params::try_from(&PasswordHash::new(DUMMY_HASH).unwrap()).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY_KIB, PASSES, LANES));
    }

    #[tokio::test]
    async fn oversized_passwords_and_broken_hashes_are_refused() {
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert!(hash(&long).await.is_err());
        assert!(!verify_or_dummy(None, &long).await.unwrap());
        assert!(verify_or_dummy(Some("plain"), "plain").await.is_err());
    }
}
