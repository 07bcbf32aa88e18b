//! How often the limited operations may be called. Attempts count, whatever became of them.
//!
//! An operation is limited by an argument of its handler; the document reads the same argument. Its answers tell what
//! is left in the fields of draft-ietf-httpapi-ratelimit-headers-06.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};

use application::limits::{Allowances, Standing};
use domain::allowance::{Patience, Rate};
use poem::http::{HeaderName, HeaderValue};
use poem::{Addr, Endpoint, Middleware, PathPattern, Request, RequestBody, Response, Result};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use uuid::Uuid;

use crate::error::ApiError;
use crate::security;

/// Fields of an answer: how often in all, how often from now on, and seconds until all of it is there again.
pub const FIELDS: [&str; 3] = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];

/// What is limited, by the word its operations carry in the list of their security schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Whatever proves who somebody is: each such operation for itself, by address.
    SignIn,
    /// Flows started from outside, by account.
    Trigger,
    /// Whatever a model writes, by person.
    Generate,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SignIn, Self::Trigger, Self::Generate];

    /// What the API promises.
    pub const fn promised(self) -> Rate {
        match self {
            Self::SignIn => Rate::new(10, 900),
            Self::Trigger => Rate::new(30, 60),
            Self::Generate => Rate::new(10, 60),
        }
    }

    /// Whose it is, in a word.
    pub const fn whose(self) -> &'static str {
        match self {
            Self::SignIn => "address",
            Self::Trigger => "account",
            Self::Generate => "person",
        }
    }

    /// The mark of its operations, which the document takes away again.
    pub const fn mark(self) -> &'static str {
        match self {
            Self::SignIn => "limit:signIn",
            Self::Trigger => "limit:trigger",
            Self::Generate => "limit:generate",
        }
    }
}

/// How often the limited operations may be called; `None` lifts a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// Sign-ins, for an address.
    pub sign_in: Option<Rate>,
    /// Triggers, for an account.
    pub trigger: Option<Rate>,
    /// What a model writes, for a person.
    pub generate: Option<Rate>,
    /// How long failed attempts to sign in keep the next one waiting, for a name.
    pub patience: Option<Patience>,
    /// Whether the client's address is the last entry of `X-Forwarded-For`, which our own proxy wrote.
    pub behind_proxy: bool,
}

impl RateLimits {
    /// What the API promises: 10 sign-ins in 15 minutes for an address, 30 triggers a minute for an account, 10 texts of
    /// a model a minute for a person.
    pub const fn standard() -> Self {
        Self {
            sign_in: Some(Limit::SignIn.promised()),
            trigger: Some(Limit::Trigger.promised()),
            generate: Some(Limit::Generate.promised()),
            patience: Some(Patience::STANDARD),
            behind_proxy: false,
        }
    }

    /// No limits at all, for tests and the demo.
    pub const fn lifted() -> Self {
        Self { sign_in: None, trigger: None, generate: None, patience: None, behind_proxy: false }
    }

    const fn rate(&self, limit: Limit) -> Option<Rate> {
        match limit {
            Limit::SignIn => self.sign_in,
            Limit::Trigger => self.trigger,
            Limit::Generate => self.generate,
        }
    }

    /// The network a request came from: an IPv4 address, or the /64 of an IPv6 one.
    pub fn network(&self, request: &Request) -> IpAddr {
        let forwarded =
            request.headers().get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
        let last = forwarded.and_then(|list| list.rsplit(',').next()).and_then(|text| text.trim().parse().ok());
        match (last, &request.remote_addr().0) {
            (Some(address), _) if self.behind_proxy => network(address),
            (_, Addr::SocketAddr(socket)) => network(socket.ip()),
            _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }
}

/// Whoever has one IPv6 address has its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The limits, and who used how much.
pub struct Limits {
    /// How often.
    pub rates: RateLimits,
    /// What is left, on all nodes together.
    pub allowances: Arc<dyn Allowances>,
}

impl Limits {
    /// Counts a trigger of an account.
    ///
    /// # Errors
    /// The allowance is used up, or it is not known what is left.
    pub async fn trigger(&self, request: &Request, account: Uuid) -> Result<(), ApiError> {
        self.take(request, Limit::Trigger, "trigger", &account.to_string()).await
    }

    /// Counts what a model writes for a person, whatever the operation.
    ///
    /// # Errors
    /// The allowance is used up, or it is not known what is left.
    pub async fn generate(&self, request: &Request, person: Uuid) -> Result<(), ApiError> {
        self.take(request, Limit::Generate, "generate", &person.to_string()).await
    }

    async fn take(&self, request: &Request, limit: Limit, what: &str, whose: &str) -> Result<(), ApiError> {
        let Some(rate) = self.rates.rate(limit) else { return Ok(()) };
        let taken = self.allowances.take(what, whose, rate).await?;
        if let Some(told) = request.data::<Told>() {
            // The first one: an operation has one limit.
            told.0.get_or_init(|| taken.standing);
        }
        taken.refused.map_or(Ok(()), |wait| Err(ApiError::rate_limited(wait)))
    }
}

/// A sign-in within its address's allowance.
pub struct SignInAllowance {
    /// The network it comes from.
    pub network: String,
}

impl<'a> ApiExtractor<'a> for SignInAllowance {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn security_schemes() -> Vec<&'static str> {
        vec![Limit::SignIn.mark()]
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let limits = &security::app(request)?.limits;
        let network = limits.rates.network(request).to_string();
        // The operation, however its path was written.
        let pattern = request.data::<PathPattern>().map(|it| it.0.to_string());
        let operation = pattern.unwrap_or_else(|| request.original_uri().path().to_owned());
        limits.take(request, Limit::SignIn, &operation, &network).await?;
        Ok(Self { network })
    }
}

/// Where an operation leaves what its answer tells of the allowance.
#[derive(Clone, Default)]
struct Told(Arc<OnceLock<Standing>>);

/// The middleware that tells.
pub struct TellStanding;

/// The middleware around an endpoint.
pub struct Telling<E>(E);

impl<E: Endpoint<Output = Response>> Middleware<E> for TellStanding {
    type Output = Telling<E>;

    fn transform(&self, endpoint: E) -> Self::Output {
        Telling(endpoint)
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Telling<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let told = Told::default();
        request.set_data(told.clone());
        let mut response = self.0.call(request).await.unwrap_or_else(|error| error.into_response());
        if let Some(standing) = told.0.get() {
            let reset_sec = standing.reset.as_secs() + u64::from(standing.reset.subsec_nanos() > 0);
            let values = [u64::from(standing.limit), u64::from(standing.remaining), reset_sec];
            for (field, value) in FIELDS.into_iter().zip(values) {
                if let Ok(name) = HeaderName::try_from(field) {
                    response.headers_mut().insert(name, HeaderValue::from(value));
                }
            }
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_believed_only_when_told_so() {
        let request = || Request::builder().header("X-Forwarded-For", "1.1.1.1, 2.2.2.2").finish();
        let behind = RateLimits { behind_proxy: true, ..RateLimits::lifted() };
        assert_eq!(behind.network(&request()), "2.2.2.2".parse::<IpAddr>().unwrap());
        assert_ne!(RateLimits::lifted().network(&request()), "2.2.2.2".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn an_address_is_one_however_it_is_written() {
        let seen = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(seen("2001:db8::1:2:3:4"), "2001:db8::");
        assert_eq!((seen("::ffff:1.2.3.4"), seen("1.2.3.4")), ("1.2.3.4".to_owned(), "1.2.3.4".to_owned()));
    }
}
