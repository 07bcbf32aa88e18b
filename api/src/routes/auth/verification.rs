//! `POST /api/auth/send-verification`, `POST /api/auth/verify-code`.

use std::sync::Arc;

use application::actor::Session;
use application::identity::verification::{CODE_TTL, RESEND_AFTER_SEC, Reach};
use domain::shared::preferences::Language;
use poem::Request;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use crate::app::App;
use crate::error::{ApiError, Failure, Verify};
use crate::language;
use crate::middleware::rate_limit::SignInAllowance;
use crate::routes::Group;
use crate::routes::answers::{DONE, Done};
use crate::routes::body::Body;
use crate::routes::paths;
use crate::security::Caller;

/// How a code travels.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[oai(rename_all = "lowercase")]
enum CodeChannel {
    /// By e-mail.
    Email,
    /// By WhatsApp.
    Phone,
}

/// Where a code shall go.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct CodeRequest {
    /// By e-mail or by WhatsApp.
    channel: CodeChannel,
    /// The e-mail address, or the phone in E.164.
    #[oai(validator(max_length = 254))]
    address: String,
}

/// A code that came.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct CodeShown {
    /// How it came.
    channel: CodeChannel,
    /// Where it came to.
    #[oai(validator(max_length = 254))]
    address: String,
    /// The six digits.
    #[oai(validator(max_length = 20))]
    code: String,
}

/// What becomes of a request for a code.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct CodeOnItsWay {
    /// Always true: nothing here says whether anybody has the address.
    success: bool,
    /// Seconds a code is good for.
    expires_in_sec: i64,
    /// Seconds until another one may be asked for.
    resend_after_sec: u32,
}

#[derive(ApiResponse)]
enum Sent {
    /// If the address waits for a code, one is on its way.
    #[oai(status = 202)]
    Accepted(Json<CodeOnItsWay>),
}

fn reach(channel: CodeChannel, address: &str) -> Result<Reach, ApiError> {
    Ok(match channel {
        CodeChannel::Email => Reach::email(address)?,
        CodeChannel::Phone => Reach::Phone(paths::phone(address)?),
    })
}

/// Whoever is signed in, if anybody is.
async fn asker(request: &Request) -> Result<Option<Session>, ApiError> {
    match Caller::of(request).await {
        Ok(caller) => Ok(Some(caller.session)),
        Err(trouble) if trouble.status.is_server_error() => Err(trouble),
        Err(_) => Ok(None),
    }
}

/// Verification.
pub struct Verifications;

#[OpenApi(prefix_path = "/auth", tag = "Group::Auth")]
impl Verifications {
    /// Send a verification code
    ///
    /// Sends six digits, good for 10 minutes, 5 tries and one use; a new code makes the one before worthless. The answer
    /// is the same whether anybody has the address or not. Whoever is signed in asks for themselves, and may name
    /// a phone that is new to them; without a session the code goes to whoever gave the address and has not
    /// verified it. Codes by WhatsApp go out in the authentication template of the account's primary line, else of the
    /// first administrator's, and only to those whose e-mail is verified. One code a minute and 5 an hour for one address
    /// (429). 503 `email_not_configured` or `phone_not_configured` when nothing can be sent.
    #[oai(path = "/send-verification", method = "post", operation_id = "sendVerification")]
    async fn send(
        &self,
        app: Data<&Arc<App>>,
        _limit: SignInAllowance,
        request: &Request,
        body: Body<CodeRequest>,
    ) -> Result<Sent, Failure<Verify>> {
        let accepted = language::accepted(request.headers()).unwrap_or(Language::En);
        let (asker, reach) = (asker(request).await?, reach(body.channel, &body.address)?);
        app.verification.send(asker.as_ref(), reach, accepted).await?;
        Ok(Sent::Accepted(Json(CodeOnItsWay {
            success: true,
            expires_in_sec: CODE_TTL.num_seconds(),
            resend_after_sec: RESEND_AFTER_SEC,
        })))
    }

    /// Verify a code
    ///
    /// Proves an address with the code that was sent there. An unknown address, a wrong code, one that was used, is too old
    /// or was tried 5 times are answered alike (400 `code_invalid`). Whoever is signed in shows a code of their own.
    #[oai(path = "/verify-code", method = "post", operation_id = "verifyCode")]
    async fn verify(
        &self,
        app: Data<&Arc<App>>,
        _limit: SignInAllowance,
        request: &Request,
        body: Body<CodeShown>,
    ) -> Result<Json<Done>, Failure<Verify>> {
        let (asker, reach) = (asker(request).await?, reach(body.channel, &body.address)?);
        app.verification.verify(asker.as_ref(), &reach, &body.code).await?;
        Ok(DONE)
    }
}
