//! The arithmetic of the chain: digest, link, signed text.

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use super::leaf::Hash;

/// The chain before the first batch.
pub const GENESIS: Hash = [0; 32];

/// The chain after a batch.
pub fn link(before: &Hash, digest: &Hash) -> Hash {
    Sha256::new().chain_update(before).chain_update(digest).finalize().into()
}

/// The digest of a batch whose leaves these are.
pub fn digest<'a>(leaves: impl IntoIterator<Item = &'a Hash>) -> Hash {
    leaves.into_iter().fold(Sha256::new(), Sha256::chain_update).finalize().into()
}

/// What a seal's signature is over.
pub fn head_text(batch: i64, last_number: i64, chain: &Hash) -> String {
    format!("flowbot seal v1\n{batch}\n{last_number}\n{}\n", hex::encode(chain))
}

/// What an export's signature is over.
pub fn manifest_text(sha256: &str, events: i64, batches: i64) -> String {
    format!("flowbot export v1\n{sha256}\n{events}\n{batches}\n")
}

/// Whether `key` signed the text; the strict check, which takes no odd encodings.
pub fn is_signed(key: &VerifyingKey, text: &str, signature: &[u8]) -> bool {
    Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(text.as_bytes(), &signature).is_ok())
}
