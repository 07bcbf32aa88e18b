//! The keys of contacts: what the log says of a person is sealed with that person's key, and cannot be read once the
//! key is destroyed. Keys lie in the database, wrapped by the master key.

mod made;

use std::collections::HashMap;
use std::sync::Mutex;

use domain::shared::ids::{ContactId, TenantId};
use futures::FutureExt;
use rand::Rng;
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::event_store::keys::made::{MAKE_MAX, New, Stored, make};
use crate::event_store::log_reader::RawEvent;
use crate::event_store::sealed::{self, Sealed};
use crate::security::random_bytes;
use crate::security::secret_box::{SecretBox, SecretBoxError, place};
use crate::security::xchacha::{NONCE_BYTES, XChaCha};
use crate::together::Together;

/// Looks for a key that others make at the same time.
const LOOKS_MAX: usize = 3;
/// Keys remembered; beyond that everything is forgotten and read again.
const REMEMBERED_MAX: usize = 100_000;

/// The key of one contact.
#[derive(Clone)]
pub struct ContactKey {
    contact: ContactId,
    cipher: XChaCha,
}

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It was destroyed.
    #[error("the contact was erased")]
    Erased,
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// It does not open: the master key is another, or the row was changed.
    #[error("a contact's key does not open: {0}")]
    Wrapped(#[from] SecretBoxError),
}

impl KeyError {
    /// For those who only know the database's errors.
    pub fn into_database(self) -> sqlx::Error {
        match self {
            Self::Database(error) => error,
            other @ (Self::Erased | Self::Wrapped(_)) => sqlx::Error::Decode(Box::new(other)),
        }
    }
}

impl ContactKey {
    fn new(contact: ContactId, key: &[u8; 32]) -> Self {
        Self { contact, cipher: XChaCha::new(key) }
    }

    /// Seals for one place (XChaCha20-Poly1305, a random nonce): opened at any other, it is refused.
    pub fn seal(&self, plain: &[u8], place: &str) -> Sealed {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill(&mut nonce);
        // The cipher refuses 256 GiB and more; no event has them.
        let bytes = self.cipher.seal(&nonce, plain, place.as_bytes()).unwrap_or_default();
        Sealed { contact: self.contact, bytes }
    }

    /// Opens what [`ContactKey::seal`] sealed for the same place.
    pub fn open(&self, sealed: &Sealed, place: &str) -> Option<Vec<u8>> {
        self.cipher.open(&sealed.bytes, place.as_bytes())
    }
}

/// Remembered keys, as of a number of erasures; `None` for a destroyed one.
#[derive(Default)]
struct Remembered {
    erasures: i64,
    keys: HashMap<(TenantId, ContactId), Option<ContactKey>>,
}

impl Remembered {
    fn forget_before(&mut self, erasures: i64) {
        if self.erasures < erasures {
            *self = Self { erasures, keys: HashMap::new() };
        }
    }
}

/// What is sealed in some events, with the keys to it.
#[derive(Default)]
pub struct SealedParts {
    /// Each with the place of its event among them.
    sealed: Vec<(usize, TenantId, Sealed)>,
    /// `None` for a destroyed one.
    keys: HashMap<(TenantId, ContactId), Option<ContactKey>>,
}

impl SealedParts {
    /// Opens the events they were found in.
    pub fn open(&self, events: &mut [RawEvent]) {
        for (index, tenant, part) in &self.sealed {
            let Some(event) = events.get_mut(*index) else { continue };
            match self.keys.get(&(*tenant, part.contact)) {
                Some(Some(key)) => event.open(key, part),
                Some(None) | None => event.erased = true,
            }
        }
    }
}

/// Finds and makes the keys of contacts.
pub struct KeyRing {
    made: Together<New, Option<Stored>>,
    master: SecretBox,
    remembered: Mutex<Remembered>,
}

impl KeyRing {
    /// Keys in this database, wrapped by `master`.
    pub fn new(pool: PgPool, master: SecretBox) -> Self {
        let made = Together::start(pool, MAKE_MAX, |connection, wanted| make(connection, wanted).boxed());
        Self { made, master, remembered: Mutex::default() }
    }

    /// A key that may be remembered, for a stream that others would be seen to have erased.
    ///
    /// # Errors
    /// It was destroyed, or cannot be read.
    pub async fn known(&self, tenant: TenantId, contact: ContactId) -> Result<ContactKey, KeyError> {
        if let Some(Some(key)) = self.remembered().keys.get(&(tenant, contact)) {
            return Ok(key.clone());
        }
        self.fresh(tenant, contact).await
    }

    /// The key as the database has it, made when there is none. A stream's first event takes it: nothing else
    /// would tell that the contact was erased meanwhile.
    ///
    /// # Errors
    /// It was destroyed, or cannot be read.
    pub async fn fresh(&self, tenant: TenantId, contact: ContactId) -> Result<ContactKey, KeyError> {
        let bytes = random_bytes::<32>().map_err(SecretBoxError::from)?;
        let new = New { tenant, contact, wrapped: self.master.seal(&bytes, &place_of(tenant, contact))? };
        for _ in 0..LOOKS_MAX {
            let Some(stored) = self.made.ask(new.clone()).await? else { continue };
            let key = stored.wrapped.map(|wrapped| self.unwrap(tenant, contact, &wrapped)).transpose()?;
            self.remember((tenant, contact), key.clone(), stored.erasures);
            return key.ok_or(KeyError::Erased);
        }
        Err(KeyError::Database(sqlx::Error::RowNotFound))
    }

    /// Opens events as they came from the log: those that were sealed read as they were written; those of erased
    /// contacts keep what is left of them and say so. `connection` is the one they were read by, so that within a
    /// transaction that holds a checkpoint no key is used that was destroyed before.
    ///
    /// # Errors
    /// The database. An event that does not open says so when it is decoded.
    pub async fn open(&self, connection: &mut PgConnection, events: &mut [RawEvent]) -> Result<(), KeyError> {
        self.find(connection, events).await?.open(events);
        Ok(())
    }

    /// What is sealed in events, with the keys to it: all that [`KeyRing::open`] needs a database for.
    ///
    /// # Errors
    /// The database.
    pub async fn find(&self, connection: &mut PgConnection, events: &[RawEvent]) -> Result<SealedParts, KeyError> {
        let mut sealed: Vec<(usize, TenantId, Sealed)> = Vec::new();
        for (index, event) in events.iter().enumerate() {
            if let Some(part) = sealed::part_of(event.payload.get())
                && let Some(tenant) = event.tenant()
            {
                sealed.push((index, tenant, part));
            }
        }
        if sealed.is_empty() {
            return Ok(SealedParts::default());
        }
        let keys = self.all(connection, sealed.iter().map(|(_, tenant, part)| (*tenant, part.contact))).await?;
        Ok(SealedParts { sealed, keys })
    }

    /// Opens one sealed part that does not stand in an event.
    ///
    /// # Errors
    /// The database.
    pub async fn open_part(
        &self,
        connection: &mut PgConnection,
        tenant: TenantId,
        part: &Sealed,
        place: &str,
    ) -> Result<Option<Vec<u8>>, KeyError> {
        let keys = self.all(connection, std::iter::once((tenant, part.contact))).await?;
        let key = keys.get(&(tenant, part.contact)).and_then(Option::as_ref);
        Ok(key.and_then(|key| key.open(part, place)))
    }

    async fn all(
        &self,
        connection: &mut PgConnection,
        wanted: impl Iterator<Item = (TenantId, ContactId)>,
    ) -> Result<HashMap<(TenantId, ContactId), Option<ContactKey>>, KeyError> {
        let erasures = sqlx::query_scalar("select count from erasures").fetch_one(&mut *connection).await?;
        let mut found = HashMap::new();
        let mut missing: (Vec<Uuid>, Vec<Uuid>) = Default::default();
        {
            let mut remembered = self.remembered();
            remembered.forget_before(erasures);
            for at in wanted {
                match remembered.keys.get(&at) {
                    Some(key) => drop(found.insert(at, key.clone())),
                    None if found.insert(at, None).is_none() => {
                        missing.0.push(at.0.0);
                        missing.1.push(at.1.0);
                    }
                    None => {}
                }
            }
        }
        if missing.0.is_empty() {
            return Ok(found);
        }
        let rows = sqlx::query(
            "select k.tenant_id, k.contact_id, k.wrapped from contact_keys k
               join unnest($1::uuid[], $2::uuid[]) as w(tenant_id, contact_id)
                 on k.tenant_id = w.tenant_id and k.contact_id = w.contact_id",
        )
        .bind(missing.0)
        .bind(missing.1)
        .fetch_all(connection)
        .await?;
        for row in rows {
            let at = (TenantId(row.try_get("tenant_id")?), ContactId(row.try_get("contact_id")?));
            let wrapped: Option<String> = row.try_get("wrapped")?;
            let key = wrapped.map(|wrapped| self.unwrap(at.0, at.1, &wrapped)).transpose()?;
            self.remember(at, key.clone(), erasures);
            found.insert(at, key);
        }
        Ok(found)
    }

    fn unwrap(&self, tenant: TenantId, contact: ContactId, wrapped: &str) -> Result<ContactKey, KeyError> {
        let bytes = self.master.open(wrapped, &place_of(tenant, contact))?;
        let key: [u8; 32] = bytes.try_into().map_err(|_| SecretBoxError::Malformed)?;
        Ok(ContactKey::new(contact, &key))
    }

    /// Remembers what was read when there had been so many erasures; what is older than what is known by now is not.
    fn remember(&self, at: (TenantId, ContactId), key: Option<ContactKey>, erasures: i64) {
        let mut remembered = self.remembered();
        remembered.forget_before(erasures);
        if remembered.erasures > erasures {
            return;
        }
        if remembered.keys.len() >= REMEMBERED_MAX {
            remembered.keys.clear();
        }
        remembered.keys.insert(at, key);
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What a contact's wrapped key is bound to.
pub(crate) fn place_of(tenant: TenantId, contact: ContactId) -> String {
    place(tenant, &format!("contact_keys/{contact}"))
}
