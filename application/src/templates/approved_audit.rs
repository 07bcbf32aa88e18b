//! What came of each approved template: how many arrived, were read and answered, failed, and who had them sent.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::shared::ids::{TemplateId, TenantId};
use uuid::Uuid;

use crate::actor::Session;
use crate::error::AppResult;
use crate::templates::care::TemplateCare;
use crate::time::Stamp;

/// Days that are looked back when nobody says.
pub const DAYS_DEFAULT: u32 = 30;
/// Days that can be looked back.
pub const DAYS_MAX: u32 = 90;

/// Counts of messages.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct SendFigures {
    /// Queued to be sent.
    pub sends: u64,
    /// Reached the customer, read or not.
    pub deliveries: u64,
    /// Read.
    pub reads: u64,
    /// Failed.
    pub failures: u64,
    /// Answered within 24 hours.
    pub replies24h: u64,
    /// Answered within 7 days.
    pub replies7d: u64,
    /// Reads of deliveries, 0 to 1; absent without a delivery.
    pub read_rate: Option<f64>,
    /// Answers within 7 days of deliveries, 0 to 1; absent without a delivery.
    pub reply_rate: Option<f64>,
}

/// Who had a template sent.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct OwnerFigures {
    /// `user` (a person), `flow`, or `system` (a broadcast).
    pub by: String,
    /// The person.
    pub user_id: Option<Uuid>,
    /// The flow, where it is the last one that ran in the conversation.
    pub flow_id: Option<Uuid>,
    /// What the person or the flow is called.
    pub name: Option<String>,
    /// What came of it.
    pub figures: SendFigures,
}

/// What came of a template.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct ApprovedTemplate {
    /// The template.
    pub template_id: TemplateId,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Its category.
    pub category: Option<String>,
    /// How customers take it, by Meta's score.
    pub quality: String,
    /// The WhatsApp Business Account.
    pub waba_id: String,
    /// When it was last sent.
    pub last_sent_at: Option<Stamp>,
    /// What came of it in all.
    pub figures: SendFigures,
    /// By who had it sent, the most sends first.
    pub owners: Vec<OwnerFigures>,
}

/// What came of the approved templates.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct ApprovedAudit {
    /// Days that were looked back.
    pub days: u32,
    /// From when on.
    pub since: Stamp,
    /// What came of all of them.
    pub totals: SendFigures,
    /// Each of them, by name and language.
    pub templates: Vec<ApprovedTemplate>,
}

/// Counts what came of templates.
#[async_trait]
pub trait TemplateFigures: Send + Sync {
    /// Every approved template, with its sends since then by who had them sent. The totals are left to the caller.
    async fn approved(&self, tenant: TenantId, since: DateTime<Utc>) -> AppResult<Vec<ApprovedTemplate>>;
}

impl SendFigures {
    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            sends: self.sends + other.sends,
            deliveries: self.deliveries + other.deliveries,
            reads: self.reads + other.reads,
            failures: self.failures + other.failures,
            replies24h: self.replies24h + other.replies24h,
            replies7d: self.replies7d + other.replies7d,
            read_rate: None,
            reply_rate: None,
        }
        .rated()
    }

    /// With the rates the counts lead to.
    #[must_use]
    pub fn rated(mut self) -> Self {
        let rate = |part: u64| (self.deliveries > 0).then(|| part as f64 / self.deliveries as f64);
        (self.read_rate, self.reply_rate) = (rate(self.reads), rate(self.replies7d));
        self
    }
}

impl TemplateCare {
    /// What came of the approved templates in the last so many days.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn approved_audit(&self, session: &Session, days: u32) -> AppResult<ApprovedAudit> {
        let since = self.clock.now() - TimeDelta::days(i64::from(days));
        let mut templates = self.figures.approved(session.tenant, since).await?;
        let sum = |all: &mut dyn Iterator<Item = SendFigures>| all.fold(SendFigures::default(), SendFigures::with);
        for template in &mut templates {
            template.figures = sum(&mut template.owners.iter().map(|owner| owner.figures));
        }
        let totals = sum(&mut templates.iter().map(|template| template.figures));
        Ok(ApprovedAudit { days, since: Stamp(since), totals, templates })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_what_arrived() {
        let one = SendFigures { sends: 4, deliveries: 3, reads: 1, failures: 1, ..SendFigures::default() };
        assert_eq!((one.read_rate, one.rated().reply_rate), (None, Some(0.0)));
        let both = one.with(SendFigures { deliveries: 1, reads: 1, replies7d: 2, ..SendFigures::default() });
        assert_eq!((both.sends, both.read_rate, both.reply_rate), (4, Some(0.5), Some(0.5)));
        assert_eq!(SendFigures::default().rated(), SendFigures::default());
    }
}
