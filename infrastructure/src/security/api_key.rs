//! API credentials: an id to look them up by and a key of which only the hash is kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::security::random_bytes;
use crate::security::signatures::constant_time_eq;

/// A fresh pair. The key is shown once; it carries 256 random bits, so a plain hash of it is safe to store.
pub struct ApiCredentials {
    /// `aiflow_` and 16 hex digits; not secret.
    pub client_id: String,
    /// `sk_` and 43 characters of base64url; never stored.
    pub secret_key: String,
}

impl ApiCredentials {
    /// A pair nobody has seen.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> std::io::Result<Self> {
        Ok(Self {
            client_id: format!("aiflow_{}", hex::encode(random_bytes::<8>()?)),
            secret_key: format!("sk_{}", URL_SAFE_NO_PAD.encode(random_bytes::<32>()?)),
        })
    }
}

/// What to store of a key: its SHA-256 in lower-case hex.
#[must_use]
pub fn hash(secret_key: &str) -> String {
    hex::encode(Sha256::digest(secret_key))
}

/// Whether `secret_key` is the one behind `stored_hash`, in constant time.
#[must_use]
pub fn verify(secret_key: &str, stored_hash: &str) -> bool {
    constant_time_eq(&hash(secret_key), stored_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_the_promised_shape_and_only_its_key_fits() {
        let (one, other) = (ApiCredentials::generate().unwrap(), ApiCredentials::generate().unwrap());
        assert_eq!((one.client_id.len(), one.secret_key.len()), ("aiflow_".len() + 16, "sk_".len() + 43));
        assert!(one.client_id.starts_with("aiflow_") && one.secret_key.starts_with("sk_"));
        assert_ne!(one.client_id, other.client_id);
        let stored = hash(&one.secret_key);
        assert!(verify(&one.secret_key, &stored));
        assert!(!verify(&other.secret_key, &stored));
    }
}
