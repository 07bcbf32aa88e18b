//! The key seals are signed with: made once, its private half sealed under the master key.

use std::collections::HashMap;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use sqlx::{PgPool, Row};

use crate::security::random_bytes;
use crate::security::secret_box::{SecretBox, SecretBoxError};

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The database.
    #[error("{0}")]
    Database(#[from] sqlx::Error),
    /// The key there is does not open under this master key.
    #[error("the signing key {id} does not open under this master key: {error}")]
    Sealed {
        /// Its id.
        id: String,
        /// Why.
        error: SecretBoxError,
    },
    /// What opens is no key.
    #[error("the signing key {0} is not the one its public half says")]
    Foreign(String),
    /// No randomness to make one.
    #[error("no key can be made: {0}")]
    Randomness(#[from] std::io::Error),
}

/// A key that signs.
#[derive(Clone)]
pub struct SealKey {
    /// Its id: the beginning of the hash of its public half.
    pub id: String,
    key: SigningKey,
}

impl SealKey {
    /// The signature of a text.
    pub fn sign(&self, text: &str) -> Vec<u8> {
        self.key.sign(text.as_bytes()).to_bytes().to_vec()
    }

    /// The public half, in hex.
    pub fn public_hex(&self) -> String {
        hex::encode(self.key.verifying_key().as_bytes())
    }
}

/// The id a public key goes by.
pub fn id_of(public: &[u8]) -> String {
    hex::encode(&Sha256::digest(public)[..8])
}

/// Where a private half may be opened.
fn place(id: &str) -> String {
    format!("seal_keys.private_key/{id}")
}

struct Stored {
    id: String,
    public: Vec<u8>,
    sealed: String,
}

async fn stored(pool: &PgPool) -> Result<Vec<Stored>, sqlx::Error> {
    let rows = sqlx::query("select id, public_key, private_key_sealed from seal_keys order by created_at desc, id");
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(Stored {
            id: row.try_get("id")?,
            public: row.try_get("public_key")?,
            sealed: row.try_get("private_key_sealed")?,
        })
    };
    rows.fetch_all(pool).await?.iter().map(read).collect()
}

fn open(stored: &Stored, secrets: &SecretBox) -> Result<SealKey, KeyError> {
    let id = stored.id.clone();
    let private =
        secrets.open(&stored.sealed, &place(&id)).map_err(|error| KeyError::Sealed { id: id.clone(), error })?;
    let private: [u8; 32] = private.try_into().map_err(|_| KeyError::Foreign(id.clone()))?;
    let key = SigningKey::from_bytes(&private);
    let is_the_one = key.verifying_key().as_bytes().as_slice() == stored.public && id == id_of(&stored.public);
    if is_the_one { Ok(SealKey { id, key }) } else { Err(KeyError::Foreign(id)) }
}

/// The key to sign with, made when there is none. Several nodes that start at once end up with the same one. A key
/// that does not open is never replaced: what it signed could not be told from a forgery any more.
///
/// # Errors
/// The key there is does not open, or the database.
pub async fn signing(pool: &PgPool, secrets: &SecretBox) -> Result<SealKey, KeyError> {
    if let Some(key) = existing(pool, secrets).await? {
        return Ok(key);
    }
    let key = SigningKey::from_bytes(&random_bytes()?);
    let public = *key.verifying_key().as_bytes();
    let id = id_of(&public);
    let sealed = secrets.seal(key.as_bytes(), &place(&id));
    let sealed = sealed.map_err(|error| KeyError::Sealed { id: id.clone(), error })?;
    sqlx::query(
        "insert into seal_keys (id, public_key, private_key_sealed) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(&id)
    .bind(public.as_slice())
    .bind(sealed)
    .execute(pool)
    .await?;
    existing(pool, secrets).await?.ok_or(KeyError::Foreign(id))
}

/// The key to sign with, when there is one.
///
/// # Errors
/// It does not open, or the database.
pub async fn existing(pool: &PgPool, secrets: &SecretBox) -> Result<Option<SealKey>, KeyError> {
    stored(pool).await?.first().map(|key| open(key, secrets)).transpose()
}

/// The keys whose signatures count, by id. With the master key at hand only those that open under it: whoever can
/// write the table cannot add one of their own.
///
/// # Errors
/// The database.
pub async fn trusted(pool: &PgPool, secrets: Option<&SecretBox>) -> Result<HashMap<String, VerifyingKey>, sqlx::Error> {
    let mut keys = HashMap::new();
    for stored in stored(pool).await? {
        let public: Option<[u8; 32]> = stored.public.as_slice().try_into().ok();
        let opens = secrets.is_none_or(|secrets| open(&stored, secrets).is_ok());
        if let Some(Ok(key)) = public.map(|public| VerifyingKey::from_bytes(&public))
            && opens
        {
            keys.insert(stored.id, key);
        }
    }
    Ok(keys)
}

/// Seals the private halves again under the present master key, where they are still under a former one. How many.
///
/// # Errors
/// One does not open under any key of the box, or the database; the others are done.
pub async fn rewrap(pool: &PgPool, secrets: &SecretBox) -> Result<u64, KeyError> {
    let mut done = 0;
    for stored in stored(pool).await?.into_iter().filter(|it| secrets.is_outdated(&it.sealed)) {
        let key = open(&stored, secrets)?;
        let sealed = secrets.seal(key.key.as_bytes(), &place(&key.id));
        let sealed = sealed.map_err(|error| KeyError::Sealed { id: key.id.clone(), error })?;
        // Another process may be at it: what it did under the same key is as good.
        let update = "update seal_keys set private_key_sealed = $3 where id = $1 and private_key_sealed = $2";
        let updated = sqlx::query(update).bind(&key.id).bind(&stored.sealed).bind(sealed).execute(pool).await?;
        done += updated.rows_affected();
    }
    Ok(done)
}
