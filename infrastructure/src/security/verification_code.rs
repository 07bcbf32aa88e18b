//! Verification codes: six digits, of which a keyed hash is kept. A plain hash would be no secret: a million tries
//! find the code behind it.

use application::error::{AppError, AppResult};
use application::identity::verification::{Codes, Reach};
use hmac::Mac;

use crate::security::{derive_key, hmac_sha256, random_bytes};

const KEY_LABEL: &str = "flowbot/verification-codes/v1";
/// How many codes there are.
const CODES: u32 = 1_000_000;

/// Codes under a key derived from the master key.
#[derive(Clone)]
pub struct KeyedCodes {
    key: [u8; 32],
}

impl KeyedCodes {
    /// Under this master key.
    #[must_use]
    pub fn new(master: &[u8; 32]) -> Self {
        Self { key: derive_key(master, KEY_LABEL) }
    }
}

impl Codes for KeyedCodes {
    fn draw(&self) -> AppResult<String> {
        // Numbers past the last whole million would make small codes likelier.
        let fair = u32::MAX - u32::MAX % CODES;
        loop {
            let number = u32::from_le_bytes(random_bytes().map_err(AppError::internal)?);
            if number < fair {
                return Ok(format!("{:06}", number % CODES));
            }
        }
    }

    fn hash(&self, reach: &Reach, code: &str) -> String {
        let mut mac = hmac_sha256(&self.key);
        // The length first: no two of these are the same bytes.
        mac.update(format!("{} {} {}", reach.channel(), reach.address().len(), reach.address()).as_bytes());
        mac.update(code.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use domain::shared::phone::Phone;

    use super::*;

    #[test]
    fn codes_are_six_digits_and_hashes_belong_to_their_address_and_key() {
        let codes = KeyedCodes::new(&[7; 32]);
        let drawn: Vec<String> = (0..200).map(|_| codes.draw().unwrap()).collect();
        assert!(drawn.iter().all(|code| code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit())));
        assert!(drawn.windows(2).any(|pair| pair[0] != pair[1]));
        let (dana, other) = (Reach::email("Dana@example.com").unwrap(), Reach::email("d@example.com").unwrap());
        let hash = codes.hash(&dana, "012345");
        assert_eq!(hash, codes.hash(&Reach::email("dana@EXAMPLE.com").unwrap(), "012345"));
        for wrong in [
            codes.hash(&dana, "012346"),
            codes.hash(&other, "012345"),
            codes.hash(&Reach::Phone(Phone::parse("+972501234567").unwrap()), "012345"),
            KeyedCodes::new(&[8; 32]).hash(&dana, "012345"),
        ] {
            assert_ne!(hash, wrong);
        }
    }
}
