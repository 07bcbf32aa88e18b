//! The RSA keys the sandbox signs ID tokens with: made when the first is needed, in memory alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};

const BITS: usize = 2_048;

/// One provider's keys; the last one signs.
pub(super) struct SandboxKeys {
    provider: &'static str,
    keys: std::cell::OnceCell<Vec<RsaPrivateKey>>,
}

impl SandboxKeys {
    pub(super) fn new(provider: &'static str) -> Self {
        Self { provider, keys: std::cell::OnceCell::new() }
    }

    fn keys(&self) -> &[RsaPrivateKey] {
        self.keys.get_or_init(|| vec![made()])
    }

    fn kid(&self, number: usize) -> String {
        format!("{}-{}", self.provider, number)
    }

    /// Makes a new key; its name.
    pub(super) fn rotate(&mut self) -> String {
        let mut keys = self.keys.take().unwrap_or_else(|| vec![made()]);
        keys.push(made());
        let kid = self.kid(keys.len());
        self.keys = std::cell::OnceCell::from(keys);
        kid
    }

    /// The keys as they are published.
    pub(super) fn document(&self) -> Value {
        let number = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        let keys = self.keys().iter().enumerate().map(|(at, key)| {
            json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid(at + 1),
                    "n": number(key.n()), "e": number(key.e()) })
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    }

    /// A token that says this; with a key nobody publishes under the name of one that is, if so wanted.
    pub(super) fn sign(&self, claims: &Value, unpublished: bool) -> String {
        let keys = self.keys();
        let header = Header { kid: Some(self.kid(keys.len())), ..Header::new(Algorithm::RS256) };
        let other = unpublished.then(made);
        let key = other.as_ref().or(keys.last()).map(|key| key.to_pkcs1_der());
        let key = key.and_then(Result::ok).map(|der| EncodingKey::from_rsa_der(der.as_bytes()));
        key.and_then(|key| encode(&header, claims, &key).ok()).unwrap_or_default()
    }
}

fn made() -> RsaPrivateKey {
    RsaPrivateKey::new(&mut OsRng, BITS).expect("a key of 2048 bits can be made")
}
