//! Tokens that are taken, and all the ways not to be.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use super::*;
use crate::security::jwt::keys::kid;

const MASTER: [u8; 32] = [1; 32];

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn keys(generations: &[i64]) -> KeySet {
    KeySet::new(&MASTER, None, generations)
}

fn claims() -> Claims {
    let (user, account) = (UserId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
    let good = Good { from: at(0), until: at(0) + TimeDelta::minutes(15) };
    Claims::new(Audience::Session, user, account, (Uuid::from_u128(3), Uuid::from_u128(4)), &good)
}

/// Signed by the first key, whatever it says.
fn signed(head: &Value, claims: &Value) -> String {
    let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", text(head), text(claims));
    let keys = keys(&[1]);
    let (_, key) = keys.current();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn a_token_comes_back_as_it_was_while_it_lasts() {
    let token = issue(&keys(&[1]), &claims()).unwrap();
    assert_eq!(read(&keys(&[1]), &token, at(929)).unwrap(), claims());
    assert!(matches!(read(&keys(&[1]), &token, at(930)), Err(TokenError::Expired)));
    assert!(matches!(read(&keys(&[1]), &token, at(-31)), Err(TokenError::NotYetValid)));
}

#[test]
fn keys_before_and_to_come_are_good_and_no_others() {
    let by_third = issue(&keys(&[3]), &claims()).unwrap();
    assert!(read(&keys(&[3, 4]), &by_third, at(1)).is_ok(), "a former key");
    assert!(read(&keys(&[2]), &by_third, at(1)).is_ok(), "another node rotated just now");
    assert!(matches!(read(&keys(&[4]), &by_third, at(1)), Err(TokenError::Key)), "retired long ago");
    let other = KeySet::new(&[2; 32], None, &[3]);
    assert!(matches!(read(&other, &by_third, at(1)), Err(TokenError::Key)));
    let moved = KeySet::new(&[2; 32], Some(&MASTER), &[3]);
    assert!(read(&moved, &by_third, at(1)).is_ok(), "the master key was changed");
    assert_ne!(moved.current().0, kid(&MASTER, 3));
}

#[test]
fn the_head_says_what_ours_say() {
    let (kid, told) = (kid(&MASTER, 1), serde_json::to_value(claims()).unwrap());
    let good = json!({ "alg": "HS256", "typ": "JWT", "kid": kid });
    assert!(read(&keys(&[1]), &signed(&good, &told), at(1)).is_ok());
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS512")),
        ("alg", json!("RS256")),
        ("alg", json!("hs256")),
        ("typ", json!("at+jwt")),
        ("typ", Value::Null),
        ("kid", json!("")),
        ("kid", json!("../../dev/null")),
        ("kid", json!("' or 1=1 --")),
        ("kid", Value::Null),
        ("jku", json!("https://evil.example/keys")),
        ("crit", json!(["exp"])),
    ] {
        let mut head = good.clone();
        head[name] = value.clone();
        assert!(read(&keys(&[1]), &signed(&head, &told), at(1)).is_err(), "{name}: {value}");
    }
    for name in ["alg", "typ", "kid"] {
        let mut head = good.clone();
        head.as_object_mut().unwrap().remove(name);
        assert!(read(&keys(&[1]), &signed(&head, &told), at(1)).is_err(), "{name} is missing");
    }
}

#[test]
fn every_claim_is_required_and_no_bit_can_be_changed() {
    let head = json!({ "alg": "HS256", "typ": "JWT", "kid": kid(&MASTER, 1) });
    let told = serde_json::to_value(claims()).unwrap();
    for name in ["iss", "aud", "sub", "tid", "sid", "jti", "iat", "nbf", "exp"] {
        let mut lacking = told.clone();
        lacking.as_object_mut().unwrap().remove(name);
        assert!(read(&keys(&[1]), &signed(&head, &lacking), at(1)).is_err(), "{name} is missing");
    }
    for (name, value) in
        [("iss", json!("other")), ("aud", json!("other")), ("aud", json!(["session"])), ("x", json!(1))]
    {
        let mut wrong = told.clone();
        wrong[name] = value;
        assert!(read(&keys(&[1]), &signed(&head, &wrong), at(1)).is_err(), "{name}");
    }
    let token = issue(&keys(&[1]), &claims()).unwrap();
    for place in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[place] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        assert!(read(&keys(&[1]), &changed, at(1)).is_err(), "byte {place}");
    }
    let unsigned = token.rsplit_once('.').map(|(message, _)| format!("{message}.")).unwrap();
    assert!(read(&keys(&[1]), &unsigned, at(1)).is_err());
    let by_nobody = encode(&Header::default(), &claims(), &EncodingKey::from_secret(b"guess")).unwrap();
    assert!(read(&keys(&[1]), &by_nobody, at(1)).is_err());
}
