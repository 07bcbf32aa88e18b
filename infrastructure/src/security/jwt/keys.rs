//! The keys tokens are signed with: derived from the master key by the number of their generation, called by a name
//! that is derived from them in turn, so that two different keys never have the same one.

use std::collections::HashMap;

use jsonwebtoken::{DecodingKey, EncodingKey};

use crate::security::derive_key;

/// Generations after the current one whose tokens are taken: another node may have rotated a moment ago, and signs
/// with a key this one has only to derive.
const AHEAD: i64 = 8;

/// Keys by name, and the one that signs.
pub struct KeySet {
    current: (String, EncodingKey),
    keys: HashMap<String, DecodingKey>,
}

impl KeySet {
    /// Keys of these generations, of which the last signs, and of the ones to come; under the former master key too,
    /// while there is one.
    #[must_use]
    pub fn new(master: &[u8; 32], former: Option<&[u8; 32]>, generations: &[i64]) -> Self {
        let last = generations.last().copied().unwrap_or(1);
        let all = generations.iter().copied().chain(last..=last + AHEAD);
        let of = |master: &[u8; 32], generation| {
            let key = derived(master, generation);
            (name(&key), DecodingKey::from_secret(&key))
        };
        let keys = all.flat_map(|it| [Some(of(master, it)), former.map(|former| of(former, it))]).flatten().collect();
        let signing = derived(master, last);
        Self { current: (name(&signing), EncodingKey::from_secret(&signing)), keys }
    }

    /// The key that signs, and its name.
    pub fn current(&self) -> (&str, &EncodingKey) {
        (&self.current.0, &self.current.1)
    }

    /// The key of this name.
    pub fn get(&self, kid: &str) -> Option<&DecodingKey> {
        self.keys.get(kid)
    }
}

/// What the key of a generation is called.
#[must_use]
pub fn kid(master: &[u8; 32], generation: i64) -> String {
    name(&derived(master, generation))
}

fn derived(master: &[u8; 32], generation: i64) -> [u8; 32] {
    derive_key(master, &format!("flowbot/jwt/v2/{generation}"))
}

fn name(key: &[u8; 32]) -> String {
    hex::encode(&derive_key(key, "flowbot/jwt/kid")[..8])
}
