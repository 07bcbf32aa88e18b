//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), whose nonces are long enough to be drawn at random. HChaCha20 makes a
//! key of a nonce's first 16 bytes; the rest is ring's ChaCha20-Poly1305 (RFC 8439), on texts as short as events several
//! times faster than the portable one.

use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes of a nonce, which stands before what is sealed.
pub const NONCE_BYTES: usize = 24;
/// Bytes of a nonce that go into the key.
const INTO_KEY: usize = 16;

/// Seals and opens with one key.
#[derive(Clone)]
pub struct XChaCha(Zeroizing<[u8; 32]>);

impl XChaCha {
    /// With this key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*key))
    }

    /// Nonce, ciphertext and tag: 40 bytes longer than the text. `None` when the text is beyond the cipher's 256 GiB.
    pub fn seal(&self, nonce: &[u8; NONCE_BYTES], plain: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
        let (key, rest) = self.of_nonce(nonce)?;
        let mut sealed = Vec::with_capacity(NONCE_BYTES + plain.len() + CHACHA20_POLY1305.tag_len());
        sealed.extend_from_slice(nonce);
        sealed.extend_from_slice(plain);
        let tag = key.seal_in_place_separate_tag(rest, Aad::from(aad), sealed.get_mut(NONCE_BYTES..)?).ok()?;
        sealed.extend_from_slice(tag.as_ref());
        Some(sealed)
    }

    /// The text, when it was sealed with this key and the same associated data.
    pub fn open(&self, sealed: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let (key, nonce) = self.of_nonce(nonce)?;
        let mut text = rest.to_vec();
        let length = key.open_in_place(nonce, Aad::from(aad), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }

    /// The key and the nonce of ChaCha20-Poly1305 that a long nonce leads to.
    fn of_nonce(&self, nonce: &[u8; NONCE_BYTES]) -> Option<(LessSafeKey, Nonce)> {
        let (into_key, rest) = nonce.split_first_chunk::<INTO_KEY>()?;
        let subkey = hchacha::<R20>(&(*self.0).into(), &(*into_key).into());
        let mut short = [0; 12];
        short.get_mut(4..)?.copy_from_slice(rest);
        let key = UnboundKey::new(&CHACHA20_POLY1305, &subkey).ok()?;
        Some((LessSafeKey::new(key), Nonce::assume_unique_for_key(short)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> XChaCha {
        XChaCha::new(&std::array::from_fn(|n| 0x80 + n as u8))
    }

    /// Appendix A.3.1 of the draft.
    #[test]
    fn it_seals_as_the_draft_says() {
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
        let aad = hex::decode("50515253c0c1c2c3c4c5c6c7").unwrap();
        let nonce = std::array::from_fn(|n| 0x40 + n as u8);
        let sealed = key().seal(&nonce, text, &aad).unwrap();
        let expected = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb\
                        731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
                        2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
                        21f9664c97637da9768812f615c68b13b52e\
                        c0875924c1c7987947deafd8780acf49";
        assert_eq!(sealed[..NONCE_BYTES], nonce);
        assert_eq!(hex::encode(&sealed[NONCE_BYTES..]), expected);
        assert_eq!(key().open(&sealed, &aad).unwrap(), text);
    }

    #[test]
    fn what_was_changed_or_cut_short_does_not_open() {
        let sealed = key().seal(&[1; NONCE_BYTES], b"text", b"here").unwrap();
        assert_eq!(sealed.len(), b"text".len() + 40);
        assert!(key().open(&sealed, b"there").is_none());
        assert!(XChaCha::new(&[1; 32]).open(&sealed, b"here").is_none());
        for n in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[n] ^= 1;
            assert!(key().open(&changed, b"here").is_none(), "byte {n}");
            assert!(key().open(&sealed[..n], b"here").is_none(), "{n} bytes");
        }
    }
}
