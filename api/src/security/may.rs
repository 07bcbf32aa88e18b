//! The typed argument of every guarded operation: who may call it. The document reads the same argument.

use std::marker::PhantomData;
use std::ops::Deref;

use application::actor::Session;
use application::error::AppError;
use domain::access::{Need, Permission};
use poem::{Request, RequestBody, Result};
use poem_openapi::registry::Registry;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::error::ApiError;
use crate::middleware::rate_limit::Limit;
use crate::security::{Caller, app, register_session_schemes};

/// What an operation asks of who calls it, as a type.
pub trait Rule: Send + Sync + 'static {
    /// What.
    const NEED: Need;
    /// The session schemes, each with the rule's word after a colon; the document takes the two apart again.
    const SCHEMES: [&'static str; 2];
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $word:literal: $need:expr;)+) => {
        $(
            $(#[$doc])*
            pub struct $name;

            impl Rule for $name {
                const NEED: Need = $need;
                const SCHEMES: [&'static str; 2] = [concat!("cookieAuth:", $word), concat!("bearerAuth:", $word)];
            }
        )+

        /// What a rule's word in the document asks for.
        pub fn need(word: &str) -> Option<Need> {
            match word { $($word => Some($need),)+ _ => None }
        }
    };
}

rules! {
    /// Whoever is signed in, API clients included.
    Anyone = "anyone": Need::Anyone;
    /// Whoever is signed in as a person.
    Person = "person": Need::Person;
    /// The account's owner.
    Owner = "owner": Need::Owner;
    /// An administrator of the installation.
    Administrator = "administrator": Need::Administrator;
    /// Conversations.
    Inbox = "inbox": Need::Granted(Permission::Inbox);
    /// Flows.
    Flows = "flows": Need::Granted(Permission::Flows);
    /// Templates.
    Templates = "templates": Need::Granted(Permission::Templates);
    /// Leads and contacts.
    Leads = "leads": Need::Granted(Permission::Leads);
    /// Appointments.
    Calendar = "calendar": Need::Granted(Permission::Calendar);
    /// Channels and the account's settings.
    Settings = "settings": Need::Granted(Permission::Settings);
    /// Histories, proofs, deliveries, usage.
    Reports = "reports": Need::Granted(Permission::Reports);
    /// Employees and everybody's tasks.
    People = "people": Need::Granted(Permission::People);
    /// Flows started from outside.
    Outbound = "outbound": Need::Granted(Permission::Outbound);
}

/// Somebody who is signed in and meets the rule.
pub struct May<R> {
    caller: Caller,
    rule: PhantomData<fn() -> R>,
}

impl<R> Deref for May<R> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<'a, R: Rule> ApiExtractor<'a> for May<R> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_session_schemes(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        R::SCHEMES.to_vec()
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let caller = Caller::of(request).await?;
        meet(&caller.session, R::NEED)?;
        Ok(Self { caller, rule: PhantomData })
    }
}

/// Somebody who may start flows from outside, once more within the account's allowance.
pub struct Limited(pub May<Outbound>);

impl<'a> ApiExtractor<'a> for Limited {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_session_schemes(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        let [cookie, bearer] = Outbound::SCHEMES;
        vec![cookie, bearer, Limit::Trigger.mark()]
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let caller = May::from_request(request, body, options).await?;
        app(request)?.limits.trigger(request, caller.session.tenant.0).await?;
        Ok(Self(caller))
    }
}

/// Somebody who meets the rule and may have a model write, once more within their own allowance.
pub struct Generating<R>(pub May<R>);

impl<'a, R: Rule> ApiExtractor<'a> for Generating<R> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_session_schemes(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        let [cookie, bearer] = R::SCHEMES;
        vec![cookie, bearer, Limit::Generate.mark()]
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let caller = May::from_request(request, body, options).await?;
        app(request)?.limits.generate(request, caller.session.user.0).await?;
        Ok(Self(caller))
    }
}

/// Lets whoever meets the need pass.
///
/// # Errors
/// 403, with what is missing in words; to verify the e-mail comes before everything else.
pub fn meet(session: &Session, need: Need) -> Result<(), ApiError> {
    if session.access.meets(need) {
        return Ok(());
    }
    if !session.access.verified {
        return Err(AppError::Unverified.into());
    }
    let words = match need {
        Need::Anyone | Need::Person => "an API client may not do this: sign in as a person".to_owned(),
        Need::Granted(permission) => format!("this takes the permission `{permission}`"),
        Need::Owner => "only the account's owner may do this".to_owned(),
        Need::Administrator => "administrators only".to_owned(),
    };
    Err(ApiError::forbidden("forbidden", words))
}
