//! Signatures over raw bytes, and comparison that takes the same time whatever differs.

use hmac::Mac;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::security::hmac_sha256;

const PREFIX: &str = "sha256=";

/// The `X-Hub-Signature-256` value for `body`: `sha256=` and HMAC-SHA256 in lower-case hex.
#[must_use]
pub fn sign_sha256_header(secret: &[u8], body: &[u8]) -> String {
    let mut mac = hmac_sha256(secret);
    mac.update(body);
    format!("{PREFIX}{}", hex::encode(mac.finalize().into_bytes()))
}

/// Whether `header` is the signature of exactly these bytes. Anything malformed is a no.
#[must_use]
pub fn verify_sha256_header(secret: &[u8], body: &[u8], header: &str) -> bool {
    let Some(signature) = header.strip_prefix(PREFIX).and_then(|text| hex::decode(text).ok()) else {
        return false;
    };
    let mut mac = hmac_sha256(secret);
    mac.update(body);
    mac.verify_slice(&signature).is_ok()
}

/// Whether two secrets are the same text. The time taken tells neither where they differ nor how long
/// the expected one is: their hashes are compared.
#[must_use]
pub fn constant_time_eq(given: &str, expected: &str) -> bool {
    let (given, expected) = (Sha256::digest(given), Sha256::digest(expected));
    given.ct_eq(&expected).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_fits_its_bytes_and_secret_alone() {
        let header = sign_sha256_header(b"secret", b"{\"a\":1}");
        assert_eq!(header.len(), PREFIX.len() + 64);
        assert!(verify_sha256_header(b"secret", b"{\"a\":1}", &header));
        assert!(!verify_sha256_header(b"secret", b"{\"a\": 1}", &header));
        assert!(!verify_sha256_header(b"Secret", b"{\"a\":1}", &header));
    }

    #[test]
    fn the_published_test_vector_holds() {
        // RFC 4231, test case 2.
        let header = sign_sha256_header(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(header, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn malformed_headers_are_refused() {
        let header = sign_sha256_header(b"secret", b"body");
        let (short, bare) = (&header[..header.len() - 2], &header[PREFIX.len()..]);
        for text in ["", "sha256=", "sha1=00", "sha256=zz", short, bare] {
            assert!(!verify_sha256_header(b"secret", b"body", text), "{text}");
        }
    }

    #[test]
    fn equal_means_equal() {
        assert!(constant_time_eq("same", "same"));
        assert!(!constant_time_eq("same", "some"));
        assert!(!constant_time_eq("", "some"));
    }
}
