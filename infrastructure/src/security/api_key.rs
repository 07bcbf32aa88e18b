//! API credentials: an id to look them up by and a key of which its beginning and the hash are kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::security::random_bytes;
use crate::security::signatures::constant_time_eq;

/// Characters of a key that may be shown: `sk_` and 8 hex digits.
const PREFIX_LENGTH: usize = 11;

/// Stands in for the hash of a client that does not exist; nothing is known to lead to it.
const DUMMY_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A fresh pair. The key is shown once; it carries 256 random bits, so a plain hash of it is safe to store.
pub struct ApiCredentials {
    /// `aiflow_` and 16 hex digits; not secret.
    pub client_id: String,
    /// `sk_`, 8 hex digits that may be shown, `_` and 43 characters of base64url; never stored.
    pub secret_key: String,
}

impl ApiCredentials {
    /// A pair nobody has seen.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> std::io::Result<Self> {
        let (shown, secret) = (hex::encode(random_bytes::<4>()?), URL_SAFE_NO_PAD.encode(random_bytes::<32>()?));
        Ok(Self {
            client_id: format!("aiflow_{}", hex::encode(random_bytes::<8>()?)),
            secret_key: format!("sk_{shown}_{secret}"),
        })
    }
}

/// The beginning of a key, by which people know it.
#[must_use]
pub fn prefix(secret_key: &str) -> &str {
    secret_key.get(..PREFIX_LENGTH).unwrap_or_default()
}

/// What to store of a key: its SHA-256 in lower-case hex.
#[must_use]
pub fn hash(secret_key: &str) -> String {
    hex::encode(Sha256::digest(secret_key))
}

/// Whether `secret_key` is the one behind `stored_hash`, in constant time. With no stored hash (an unknown client) it
/// does the same work against a dummy and says no.
#[must_use]
pub fn verify_or_dummy(secret_key: &str, stored_hash: Option<&str>) -> bool {
    let fits = constant_time_eq(&hash(secret_key), stored_hash.unwrap_or(DUMMY_HASH));
    fits && stored_hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_the_promised_shape_and_only_its_key_fits() {
        let (one, other) = (ApiCredentials::generate().unwrap(), ApiCredentials::generate().unwrap());
        assert_eq!((one.client_id.len(), one.secret_key.len()), ("aiflow_".len() + 16, "sk_".len() + 8 + 1 + 43));
        assert!(one.client_id.starts_with("aiflow_") && one.secret_key.starts_with("sk_"));
        assert_ne!(one.client_id, other.client_id);
        assert!(one.secret_key.strip_prefix(prefix(&one.secret_key)).is_some_and(|rest| rest.starts_with('_')));
        let stored = hash(&one.secret_key);
        assert!(verify_or_dummy(&one.secret_key, Some(&stored)));
        assert!(!verify_or_dummy(&other.secret_key, Some(&stored)));
        assert!(!verify_or_dummy(&one.secret_key, None));
    }
}
