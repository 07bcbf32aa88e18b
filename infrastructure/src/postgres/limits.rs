//! Limits that hold on all nodes, by the database's clock. Names and addresses are kept as keyed hashes: the rows say
//! nothing of whom they are about.

pub mod allowances;
pub mod sign_in_attempts;
pub mod used_signatures;

use hmac::Mac;

use crate::security::{derive_key, hmac_sha256};

const KEY_LABEL: &str = "flowbot/limits/v1";

/// What a row is found by.
type Digest = [u8; 32];

/// Hashes names and addresses under the master key.
#[derive(Clone)]
pub struct LimitKeys([u8; 32]);

impl LimitKeys {
    /// Under this master key. After it was changed, nothing is known of what was before.
    pub fn new(master: &[u8; 32]) -> Self {
        Self(derive_key(master, KEY_LABEL))
    }

    fn digest(&self, parts: &[&str]) -> Digest {
        let mut mac = hmac_sha256(&self.0);
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_run_into_each_other() {
        let keys = LimitKeys::new(&[1; 32]);
        assert_eq!(keys.digest(&["a", "b"]), keys.digest(&["a", "b"]));
        assert_ne!(keys.digest(&["a", "b"]), keys.digest(&["ab", ""]));
        assert_ne!(keys.digest(&["a"]), LimitKeys::new(&[2; 32]).digest(&["a"]));
    }
}
