//! Signatures of calls: over the content alone, or over a time and the content.

use infrastructure::security::signatures::verify_sha256_header;
use poem::http::HeaderMap;

/// The header of the signature.
pub const SIGNATURE: &str = "X-Signature-256";
/// The header of the time it was made, in seconds since 1970.
pub const TIMESTAMP: &str = "X-Timestamp";

/// A signature as it was sent.
#[derive(Debug, Clone, Copy)]
pub struct Signature<'a> {
    hex: &'a str,
    timestamp: Option<&'a str>,
}

impl<'a> Signature<'a> {
    /// The signature among these headers.
    pub fn of(headers: &'a HeaderMap) -> Option<Self> {
        let signature = headers.get(SIGNATURE)?.to_str().ok()?;
        // A time that cannot be read is one that fits nothing, not a time that was left out.
        let timestamp = headers.get(TIMESTAMP).map(|value| value.to_str().unwrap_or_default());
        Some(Self { hex: signature.strip_prefix("sha256=").unwrap_or(signature), timestamp })
    }

    /// Whether it was made with the secret over this content. An empty secret makes none.
    pub fn fits(&self, secret: &str, content: &[u8]) -> bool {
        let header = format!("sha256={}", self.hex);
        let verified = |signed: &[u8]| !secret.is_empty() && verify_sha256_header(secret.as_bytes(), signed, &header);
        match self.timestamp {
            Some(timestamp) => verified(&[timestamp.as_bytes(), b".", content].concat()),
            // Otherwise a signature over time and content would fit once more when they are sent as one content.
            None => !starts_with_time(content) && verified(content),
        }
    }

    /// The time it was made, and the signature in its one spelling; nothing for one without a time.
    pub fn timed(&self) -> Option<(&'a str, String)> {
        self.timestamp.map(|timestamp| (timestamp, self.hex.to_ascii_lowercase()))
    }
}

/// Whether it begins with digits and a dot.
fn starts_with_time(content: &[u8]) -> bool {
    let digits = content.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && content.get(digits) == Some(&b'.')
}

#[cfg(test)]
mod tests {
    use infrastructure::security::signatures::sign_sha256_header;
    use poem::http::HeaderName;

    use super::*;

    fn headers(signature: &str, timestamp: Option<&str>) -> HeaderMap {
        let pair = |name: &str, value: &str| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        let time = timestamp.map(|timestamp| pair(TIMESTAMP, timestamp));
        HeaderMap::from_iter(time.into_iter().chain([pair(SIGNATURE, signature)]))
    }

    fn fits(signature: &str, timestamp: Option<&str>, content: &[u8]) -> bool {
        Signature::of(&headers(signature, timestamp)).is_some_and(|it| it.fits("s", content))
    }

    #[test]
    fn a_time_is_part_of_what_is_signed() {
        let (timed, plain) = (sign_sha256_header(b"s", b"17.{}"), sign_sha256_header(b"s", b"{}"));
        assert!(fits(&timed, Some("17"), b"{}") && fits(&plain, None, b"{}"));
        assert!(fits(&timed.replace("sha256=", "").to_uppercase(), Some("17"), b"{}"));
        for (signature, timestamp) in
            [(&timed, Some("18")), (&timed, None), (&plain, Some("17")), (&plain, Some("")), (&timed, Some("017"))]
        {
            assert!(!fits(signature, timestamp, b"{}"), "{timestamp:?}");
        }
    }

    #[test]
    fn a_signature_with_a_time_is_none_over_both_as_one_content() {
        let timed = sign_sha256_header(b"s", b"17.a=1&phone=2");
        assert!(fits(&timed, Some("17"), b"a=1&phone=2"));
        assert!(!fits(&timed, None, b"17.a=1&phone=2"));
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let (upper, lower) = (headers("sha256=AB", Some("17")), headers("ab", Some("17")));
        assert_eq!(Signature::of(&upper).unwrap().timed(), Signature::of(&lower).unwrap().timed());
        assert_eq!(Signature::of(&headers("ab", None)).unwrap().timed(), None);
    }
}
