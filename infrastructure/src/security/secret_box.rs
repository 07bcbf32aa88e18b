//! Secrets at rest: XChaCha20-Poly1305, bound to the place they are stored in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::shared::ids::TenantId;
use sha2::{Digest, Sha256};

use crate::security::xchacha::{NONCE_BYTES, XChaCha};
use crate::security::{derive_key, random_bytes};

const VERSION: &str = "v1";
const KEY_LABEL: &str = "flowbot/secret-box/v1";

/// Why a value was not sealed or not opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretBoxError {
    /// Not of the form `v1.<key id>.<base64url>`.
    #[error("not a sealed value")]
    Malformed,
    /// Sealed under a key that is not here.
    #[error("sealed under the unknown key {0}")]
    UnknownKey(String),
    /// Changed, or moved from another tenant or column.
    #[error("the sealed value does not belong here or was changed")]
    Refused,
    /// The operating system has no randomness to give.
    #[error("no randomness: {0}")]
    Randomness(#[from] std::io::Error),
}

/// The associated data of a value in `column` of `tenant`: sealed for one place, it opens in no other.
#[must_use]
pub fn place(tenant: TenantId, column: &str) -> String {
    format!("{tenant}/{column}")
}

/// Seals with the present key, opens with it and with former ones.
#[derive(Clone)]
pub struct SecretBox {
    present: Key,
    former: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: String,
    cipher: XChaCha,
}

impl Key {
    fn new(master: &[u8; 32]) -> Self {
        let key = derive_key(master, KEY_LABEL);
        let id = hex::encode(&Sha256::digest(key)[..4]);
        Self { id, cipher: XChaCha::new(&key) }
    }
}

impl SecretBox {
    /// A box under the master key.
    #[must_use]
    pub fn new(master: &[u8; 32]) -> Self {
        Self { present: Key::new(master), former: Vec::new() }
    }

    /// Also opens what was sealed under `master`, the key before a rotation.
    #[must_use]
    pub fn with_former(mut self, master: &[u8; 32]) -> Self {
        self.former.push(Key::new(master));
        self
    }

    /// Whether it opens what a former key sealed: a rotation is under way.
    #[must_use]
    pub fn is_rotating(&self) -> bool {
        !self.former.is_empty()
    }

    /// `v1.<key id>.<base64url of nonce and ciphertext>`: 56 bytes longer than the text, before base64.
    ///
    /// # Errors
    /// When the system has no randomness, or the text is beyond the cipher's 256 GiB.
    pub fn seal(&self, plaintext: &[u8], aad: &str) -> Result<String, SecretBoxError> {
        let nonce = random_bytes::<NONCE_BYTES>()?;
        let sealed = self.present.cipher.seal(&nonce, plaintext, aad.as_bytes()).ok_or(SecretBoxError::Refused)?;
        let body = URL_SAFE_NO_PAD.encode(sealed);
        Ok(format!("{VERSION}.{}.{body}", self.present.id))
    }

    /// The text inside `sealed`, if it was sealed with the same associated data.
    ///
    /// # Errors
    /// [`SecretBoxError`] says why it does not open.
    pub fn open(&self, sealed: &str, aad: &str) -> Result<Vec<u8>, SecretBoxError> {
        let mut parts = sealed.splitn(3, '.');
        let (Some(VERSION), Some(id), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(SecretBoxError::Malformed);
        };
        let key = std::iter::once(&self.present).chain(&self.former).find(|key| key.id == id);
        let key = key.ok_or_else(|| SecretBoxError::UnknownKey(id.to_owned()))?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| SecretBoxError::Malformed)?;
        if bytes.len() < NONCE_BYTES {
            return Err(SecretBoxError::Malformed);
        }
        key.cipher.open(&bytes, aad.as_bytes()).ok_or(SecretBoxError::Refused)
    }

    /// Whether `sealed` waits to be sealed again under the present key.
    #[must_use]
    pub fn is_outdated(&self, sealed: &str) -> bool {
        sealed.split('.').nth(1) != Some(self.present.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn column(tenant: u128) -> String {
        place(TenantId(Uuid::from_u128(tenant)), "connections.access_token")
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_alone() {
        let secrets = SecretBox::new(&[1; 32]);
        let sealed = secrets.seal(b"token", &column(1)).unwrap();
        assert!(sealed.starts_with("v1.") && !sealed.contains("token"));
        assert_eq!(secrets.open(&sealed, &column(1)).unwrap(), b"token");
        assert!(matches!(secrets.open(&sealed, &column(2)), Err(SecretBoxError::Refused)));
        assert_ne!(sealed, secrets.seal(b"token", &column(1)).unwrap(), "every sealing has its own nonce");
    }

    #[test]
    fn changed_foreign_and_malformed_values_are_refused() {
        let secrets = SecretBox::new(&[1; 32]);
        let sealed = secrets.seal(b"token", "here").unwrap();
        let mut bytes = sealed.clone().into_bytes();
        bytes[20] = if bytes[20] == b'A' { b'B' } else { b'A' };
        assert!(secrets.open(&String::from_utf8(bytes).unwrap(), "here").is_err());
        assert!(matches!(SecretBox::new(&[2; 32]).open(&sealed, "here"), Err(SecretBoxError::UnknownKey(_))));
        let short = sealed.split_at(20).0;
        for text in ["", "v1", "v1.x", "v2.a.b", "plain", short] {
            assert!(secrets.open(text, "here").is_err(), "{text}");
        }
    }

    #[test]
    fn after_a_rotation_old_values_open_and_are_known_as_old() {
        let sealed = SecretBox::new(&[1; 32]).seal(b"token", "here").unwrap();
        let rotated = SecretBox::new(&[2; 32]).with_former(&[1; 32]);
        assert_eq!(rotated.open(&sealed, "here").unwrap(), b"token");
        assert!(rotated.is_outdated(&sealed));
        assert!(!rotated.is_outdated(&rotated.seal(b"token", "here").unwrap()));
    }
}
