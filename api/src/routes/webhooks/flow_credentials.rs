//! Who may start a flow from outside: the owning account always, and whoever its trigger node admits.

use application::actor::{Actor, Cause, Session};
use application::conversations::triggers::PayloadTrigger;
use application::error::AppError;
use domain::conversation::command::PublishedFlow;
use domain::flow::graph::NodeId;
use domain::flow::nodes::Trigger;
use domain::flow::nodes::webhook::Auth;
use domain::shared::ids::{FlowId, TenantId};
use infrastructure::security::signatures::constant_time_eq;
use poem::http::HeaderMap;
use poem::web::headers::HeaderMapExt;
use poem::web::headers::authorization::{Authorization, Basic, Bearer};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::error::ApiError;
use crate::middleware::observe::RequestId;
use crate::routes::webhooks::payload::Payload;
use crate::routes::webhooks::signature::{SIGNATURE, Signature};
use crate::security::may::{self, Outbound, Rule};
use crate::security::{Caller, api_key, http, register_session_schemes};

/// A call of a flow's trigger, exactly as it came. `BODY` says whether it has one.
pub struct FlowCall<const BODY: bool> {
    /// Who calls, when they hold a session.
    pub session: Option<Session>,
    /// The request's id.
    pub correlation: Uuid,
    headers: HeaderMap,
    /// What a signature is over: the body, or the query of a GET.
    signed: Vec<u8>,
}

impl<'a, const BODY: bool> ApiExtractor<'a> for FlowCall<BODY> {
    const TYPES: &'static [ApiExtractorType] = if BODY {
        &[ApiExtractorType::RequestObject, ApiExtractorType::SecurityScheme]
    } else {
        &[ApiExtractorType::SecurityScheme]
    };
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_session_schemes(registry);
        let key = "The trigger's key, for `auth.mode: api_key`. The trigger may name another header.";
        registry.create_security_scheme("flowApiKey", api_key("X-API-Key", "header", key));
        registry.create_security_scheme(
            "flowBasic",
            http("basic", None, "The trigger's name and password, for `auth.mode: basic`."),
        );
        registry.create_security_scheme(
            "flowBearer",
            http("bearer", None, "The trigger's token, for `auth.mode: bearer`."),
        );
        let hmac = "For `auth.mode: hmac`: the HMAC-SHA256 in hex, with or without `sha256=` before it, of the raw body, \
                    or of the raw query for a GET. With `X-Timestamp`, of the timestamp, a dot and that.";
        registry.create_security_scheme("flowSignature", api_key(SIGNATURE, "header", hmac));
    }

    fn security_schemes() -> Vec<&'static str> {
        let [cookie, bearer] = Outbound::SCHEMES;
        vec![bearer, cookie, "flowApiKey", "flowBasic", "flowBearer", "flowSignature"]
    }

    /// `auth.mode: none` asks for nothing.
    fn has_security_fallback() -> bool {
        true
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: "application/json", schema: Value::schema_ref() }];
        let words = "An object: the trigger's mapping makes run variables of it.";
        BODY.then_some(MetaRequest { description: Some(words), content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let signed = if BODY {
            body.take()?.into_vec().await?
        } else {
            request.uri().query().unwrap_or_default().as_bytes().to_vec()
        };
        let session = match Caller::of(request).await {
            Ok(caller) => Some(caller.session),
            Err(refusal) if refusal.status.is_client_error() => None,
            Err(trouble) => return Err(trouble.into()),
        };
        let correlation = request.data::<RequestId>().map_or_else(Uuid::nil, |it| it.0);
        Ok(Self { session, correlation, headers: request.headers().clone(), signed })
    }
}

/// The trigger a call may use, and what to write down as its cause.
pub struct Admitted {
    /// The account, its flow and the trigger node.
    pub target: (TenantId, PublishedFlow, NodeId),
    /// Who called.
    pub cause: Cause,
}

impl<const BODY: bool> FlowCall<BODY> {
    /// Lets the call in, or not. What is not there, what is not active and what is somebody else's look the same
    /// to all but the owner.
    ///
    /// # Errors
    /// The flow is not active or without such a trigger (400 for its owner), or it does not start for who
    /// calls: 403 for a session of the account, 404 for another one, 401 without one; or it was signed with a time
    /// and came in before.
    pub async fn admit(&self, app: &App, flow_id: FlowId, kind: PayloadTrigger) -> Result<Admitted, ApiError> {
        let target = match app.triggers.payload_trigger(flow_id, kind).await {
            Ok(target) => target,
            Err(refusal @ AppError::Invalid { .. }) => {
                let session = self.session.as_ref().ok_or_else(|| self.refusal())?;
                app.flows.get(session, flow_id).await?;
                may::meet(session, Outbound::NEED)?;
                return Err(refusal.into());
            }
            Err(AppError::NotFound(_)) => return Err(self.refusal()),
            Err(other) => return Err(other.into()),
        };
        let own = self.session.as_ref().filter(|session| session.tenant == target.0);
        let granted = own.map(|session| may::meet(session, Outbound::NEED)).transpose();
        let by_session = own.filter(|_| granted.is_ok());
        let auth = match target.1.graph.node(&target.2).and_then(|node| node.kind.trigger()) {
            Some(Trigger::LeadApi(trigger)) => Some(&trigger.webhook.auth),
            Some(Trigger::Api(trigger)) => Some(&trigger.webhook.auth),
            Some(Trigger::Message(_) | Trigger::Outbound(_)) | None => None,
        };
        let fits = match auth {
            Some(auth) if by_session.is_none() => self.fits(app, flow_id, auth).await?,
            Some(_) | None => false,
        };
        if by_session.is_none() && !fits {
            granted?;
            return Err(self.refusal());
        }
        let actor = by_session.map_or(Actor::Webhook, |session| Actor::User(session.user));
        // A session's key counts whichever credentials let the call in.
        let once = self.session.as_ref().and_then(|session| session.cause().once);
        Ok(Admitted { cause: Cause { actor, correlation: self.correlation, causation: None, once }, target })
    }

    /// Whether the trigger's own credentials fit. A signature that was made with a time is used up by that.
    async fn fits(&self, app: &App, flow_id: FlowId, auth: &Auth) -> Result<bool, ApiError> {
        if !admits(auth, &self.headers, &self.signed) {
            return Ok(false);
        }
        let signature = if let Auth::Hmac { .. } = auth { Signature::of(&self.headers) } else { None };
        let Some((timestamp, signature)) = signature.and_then(|it| it.timed()) else { return Ok(true) };
        if !app.signed_calls.is_timely(timestamp) {
            return Ok(false);
        }
        app.signed_calls.use_up(flow_id, &signature).await?;
        Ok(true)
    }

    /// One answer for a flow that is not there and for one that is somebody else's.
    fn refusal(&self) -> ApiError {
        match &self.session {
            Some(_) => ApiError::not_found("flow"),
            None => ApiError::unauthorized("these credentials do not start this flow"),
        }
    }

    /// The body as an object.
    ///
    /// # Errors
    /// It is none.
    pub fn payload(&self) -> Result<Payload, ApiError> {
        Payload::read(&self.signed)
    }
}

/// Whether a trigger's own credentials fit. An empty secret fits nothing.
fn admits(auth: &Auth, headers: &HeaderMap, signed: &[u8]) -> bool {
    let same = |given: &str, expected: &str| constant_time_eq(given, expected) && !expected.is_empty();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match auth {
        Auth::Jwt => false,
        Auth::ApiKey { api_key, header_name } => header(header_name).is_some_and(|given| same(given, api_key)),
        Auth::Basic { username, password } => headers.typed_get::<Authorization<Basic>>().is_some_and(|given| {
            // Both are compared, whatever the first says.
            same(given.username(), username) & same(given.password(), password)
        }),
        Auth::Bearer { token } => {
            headers.typed_get::<Authorization<Bearer>>().is_some_and(|given| same(given.token(), token))
        }
        Auth::Hmac { secret } => Signature::of(headers).is_some_and(|it| it.fits(secret, signed)),
        Auth::None => true,
    }
}

#[cfg(test)]
mod tests {
    use infrastructure::security::signatures::sign_sha256_header;

    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(poem::http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn every_mode_admits_its_own_credentials_alone() {
        let key = Auth::ApiKey { api_key: "k".into(), header_name: "X-API-Key".into() };
        let basic = Auth::Basic { username: "u".into(), password: "p".into() };
        let bearer = Auth::Bearer { token: "t".into() };
        let hmac = Auth::Hmac { secret: "s".into() };
        let signature = sign_sha256_header(b"s", b"{}");
        let bare = signature.trim_start_matches("sha256=").to_owned();
        for (auth, name, good, bad) in [
            (&key, "x-api-key", "k", "K"),
            (&basic, "authorization", "Basic dTpw", "Basic dTpx"),
            (&bearer, "authorization", "Bearer t", "Bearer u"),
            (&hmac, "x-signature-256", signature.as_str(), "sha256=00"),
            (&hmac, "x-signature-256", bare.as_str(), ""),
        ] {
            assert!(admits(auth, &with(name, good), b"{}"), "{auth:?}");
            assert!(!admits(auth, &with(name, bad), b"{}"), "{auth:?}");
            assert!(!admits(auth, &HeaderMap::new(), b"{}"), "{auth:?}");
        }
        assert!(!admits(&hmac, &with("x-signature-256", &signature), b"{ }"));
        assert!(admits(&Auth::None, &HeaderMap::new(), b"{}"));
        assert!(!admits(&Auth::Jwt, &HeaderMap::new(), b"{}"));
    }

    #[test]
    fn an_empty_secret_fits_nothing() {
        let key = Auth::ApiKey { api_key: String::new(), header_name: "X-API-Key".into() };
        assert!(!admits(&key, &with("x-api-key", ""), b""));
        let basic = Auth::Basic { username: "u".into(), password: String::new() };
        assert!(!admits(&basic, &with("authorization", "Basic dTo="), b""));
        let hmac = Auth::Hmac { secret: String::new() };
        assert!(!admits(&hmac, &with("x-signature-256", &sign_sha256_header(b"", b"")), b""));
        assert!(!admits(&Auth::Bearer { token: String::new() }, &with("authorization", "Bearer "), b""));
    }
}
