//! `GET,POST /api/webhook/whatsapp`: Meta's handshake and its webhooks.

use std::sync::Arc;

use poem::web::Data;
use poem::{Request, RequestBody};
use poem_openapi::param::Query;
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions, Object, OpenApi};
use serde_json::Value;

use crate::app::App;
use crate::error::{ApiError, Failure, Handshake, Webhook};
use crate::routes::Group;
use crate::security::api_key;

const SIGNATURE: &str = "X-Hub-Signature-256";

/// Nothing to say: Meta reads the status alone.
#[derive(Object)]
struct Received {}

/// A webhook exactly as it came, with what should be its signature.
struct SignedBytes {
    body: Vec<u8>,
    signature: Option<String>,
}

impl<'a> ApiExtractor<'a> for SignedBytes {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject, ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let words = "`sha256=` and the HMAC-SHA256 of the body in hex, keyed with the app secret.";
        registry.create_security_scheme("hubSignature", api_key(SIGNATURE, "header", words));
    }

    fn security_schemes() -> Vec<&'static str> {
        vec!["hubSignature"]
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: "application/json", schema: Value::schema_ref() }];
        Some(MetaRequest { description: Some("A webhook of the WhatsApp Business Platform."), content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let signature = request.header(SIGNATURE).map(str::to_owned);
        Ok(Self { body: body.take()?.into_vec().await?, signature })
    }
}

/// Meta's webhook.
pub struct WhatsappWebhook;

#[OpenApi(prefix_path = "/webhook/whatsapp", tag = "Group::Webhooks")]
impl WhatsappWebhook {
    /// Answer Meta's handshake
    ///
    /// Meta calls this once, when the webhook is registered. The right verify token gets its challenge back
    /// as plain text.
    #[oai(path = "/", method = "get", operation_id = "verifyWhatsappWebhook")]
    async fn handshake(
        &self,
        app: Data<&Arc<App>>,
        /// `subscribe`.
        #[oai(name = "hub.mode")]
        mode: Query<Option<String>>,
        /// A token the installation or one of its lines is configured with.
        #[oai(name = "hub.verify_token")]
        token: Query<Option<String>>,
        /// Comes back as it is.
        #[oai(name = "hub.challenge", validator(max_length = 1000))]
        challenge: Query<Option<String>>,
    ) -> Result<PlainText<String>, Failure<Handshake>> {
        let token = token.0.filter(|token| !token.is_empty() && mode.as_deref() == Some("subscribe"));
        let refusal = || ApiError::forbidden("wrong_verify_token", "the verify token is wrong");
        if !app.webhooks.handshake(&token.ok_or_else(refusal)?).await? {
            return Err(refusal().into());
        }
        Ok(PlainText(challenge.0.unwrap_or_default()))
    }

    /// Receive a WhatsApp webhook
    ///
    /// Messages and statuses. The body is stored as it came before it is answered; what it says takes effect
    /// afterwards, each message once, however often Meta repeats it.
    #[oai(path = "/", method = "post", operation_id = "receiveWhatsappWebhook")]
    async fn receive(&self, app: Data<&Arc<App>>, webhook: SignedBytes) -> Result<Json<Received>, Failure<Webhook>> {
        app.webhooks.accept(&webhook.body, webhook.signature.as_deref()).await?;
        Ok(Json(Received {}))
    }
}
