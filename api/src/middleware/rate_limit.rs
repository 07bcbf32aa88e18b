//! How often the limited operations may be called. Attempts count, whatever became of them.

use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use poem::{Addr, FromRequest, Request, RequestBody, Result};
use uuid::Uuid;

use crate::error::ApiError;
use crate::security;

/// After so many checks, keys that have their whole allowance again are forgotten.
const CHECKS_BETWEEN_SWEEPS: u32 = 1_024;

/// So many times in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub times: NonZeroU32,
    /// In how long.
    pub per: Duration,
}

impl Rate {
    /// `times` every `per_sec` seconds; none at all is one.
    pub const fn new(times: u32, per_sec: u64) -> Self {
        let times = match NonZeroU32::new(times) {
            Some(times) => times,
            None => NonZeroU32::MIN,
        };
        Self { times, per: Duration::from_secs(per_sec) }
    }
}

/// The allowances, and who used how much of theirs.
#[derive(Default)]
pub struct RateLimits {
    sign_in: Option<Allowance<(IpAddr, String)>>,
    trigger: Option<Allowance<Uuid>>,
    behind_proxy: bool,
}

impl RateLimits {
    /// What the API promises: 10 sign-ins in 15 minutes for an address, 30 triggers a minute for an account.
    pub fn standard() -> Self {
        Self::new(Some(Rate::new(10, 900)), Some(Rate::new(30, 60)))
    }

    /// No limits at all, for tests and the sandbox.
    pub fn lifted() -> Self {
        Self::default()
    }

    /// Limits of one's own; `None` lifts one.
    pub fn new(sign_in: Option<Rate>, trigger: Option<Rate>) -> Self {
        let (sign_in, trigger) = (sign_in.and_then(Allowance::new), trigger.and_then(Allowance::new));
        Self { sign_in, trigger, behind_proxy: false }
    }

    /// Takes the client's address from the last entry of `X-Forwarded-For`, which our own proxy wrote.
    #[must_use]
    pub fn behind_proxy(self, behind_proxy: bool) -> Self {
        Self { behind_proxy, ..self }
    }

    /// Counts one trigger of an account.
    ///
    /// # Errors
    /// The allowance is used up.
    pub fn trigger(&self, account: Uuid) -> Result<(), ApiError> {
        self.trigger.as_ref().map_or(Ok(()), |allowance| allowance.take(&account))
    }

    fn sign_in(&self, request: &Request) -> Result<(), ApiError> {
        let Some(allowance) = &self.sign_in else { return Ok(()) };
        allowance.take(&(self.address(request), request.original_uri().path().to_owned()))
    }

    /// The client's address; of IPv6 the network.
    pub fn address(&self, request: &Request) -> IpAddr {
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
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

/// One allowance per key.
struct Allowance<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    checks: AtomicU32,
}

impl<K: Hash + Eq + Clone> Allowance<K> {
    fn new(rate: Rate) -> Option<Self> {
        let quota = Quota::with_period(rate.per / rate.times.get())?.allow_burst(rate.times);
        let limiter = RateLimiter::keyed(quota);
        Some(Self { limiter, clock: DefaultClock::default(), checks: AtomicU32::new(0) })
    }

    fn take(&self, key: &K) -> Result<(), ApiError> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_BETWEEN_SWEEPS == CHECKS_BETWEEN_SWEEPS - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|refusal| {
            let wait = refusal.wait_time_from(self.clock.now());
            ApiError::rate_limited(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
        })
    }
}

/// A sign-in within its address's allowance.
pub struct SignInAllowance;

impl<'a> FromRequest<'a> for SignInAllowance {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        security::app(request)?.limits.sign_in(request)?;
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_comes_back_one_by_one() {
        let limits = RateLimits::standard();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!((0..30).all(|_| limits.trigger(one).is_ok()));
        let refusal = limits.trigger(one).unwrap_err();
        assert_eq!(refusal.headers, [(poem::http::header::RETRY_AFTER, "2".to_owned())]);
        assert!(limits.trigger(other).is_ok());
        assert!((0..1_000).all(|_| RateLimits::lifted().trigger(one).is_ok()));
    }

    #[test]
    fn proxies_are_believed_only_when_told_so() {
        let request = || Request::builder().header("X-Forwarded-For", "1.1.1.1, 2.2.2.2").finish();
        let behind = RateLimits::lifted().behind_proxy(true);
        assert_eq!(behind.address(&request()), "2.2.2.2".parse::<IpAddr>().unwrap());
        assert_ne!(RateLimits::lifted().address(&request()), "2.2.2.2".parse::<IpAddr>().unwrap());
        assert_eq!(network("2001:db8::1:2:3:4".parse().unwrap()), "2001:db8::".parse::<IpAddr>().unwrap());
    }
}
