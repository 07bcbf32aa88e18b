//! Passwords, tokens, sealed values and signatures, and the one secret they hang on.
//!
//! Invariants: every purpose has a key of its own, derived from the master key by a label; secrets are
//! compared in constant time; randomness comes from the operating system.

pub mod api_key;
pub mod jwt;
pub mod master_key;
pub mod password;
pub mod ports;
pub mod rotation;
pub mod secret_box;
pub mod signatures;
pub mod verification_code;
pub mod xchacha;

use hmac::{Hmac, Mac};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::Sha256;

/// The key for one purpose: HMAC-SHA256 of `label` under the master key. The master key is uniformly
/// random, so this is a sound derivation, and no purpose can learn another's key.
pub(crate) fn derive_key(master: &[u8; 32], label: &str) -> [u8; 32] {
    let mut mac = hmac_sha256(master);
    mac.update(label.as_bytes());
    mac.finalize().into_bytes().into()
}

/// HMAC-SHA256 under `key`, which may have any length.
pub(crate) fn hmac_sha256(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// `N` bytes nobody can guess.
///
/// # Errors
/// When the operating system has no randomness to give.
pub(crate) fn random_bytes<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_gives_a_key_of_its_own() {
        let master = [7; 32];
        assert_eq!(derive_key(&master, "a"), derive_key(&master, "a"));
        assert_ne!(derive_key(&master, "a"), derive_key(&master, "b"));
        assert_ne!(derive_key(&master, "a"), derive_key(&[8; 32], "a"));
    }
}
