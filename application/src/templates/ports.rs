//! What the template use cases need from outside.

use async_trait::async_trait;
use domain::shared::ids::{TemplateGroupId, TemplateId, TenantId};
use domain::shared::provider_error::ProviderError;
use domain::template::approval::Status;
use domain::template::category::Category;
use domain::template::command::{Draft, Listing};

use crate::error::AppResult;
use crate::page::{Page, PageRequest};
use crate::templates::accounts::BusinessAccount;
use crate::templates::groups::GroupDocument;
use crate::templates::sync::AccountReport;
use crate::templates::views::TemplateDocument;

/// Which templates are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplateFilter {
    /// In this status; when absent, all but deleted ones.
    pub status: Option<String>,
    /// With this name.
    pub name: Option<String>,
}

/// Reads templates.
#[async_trait]
pub trait TemplateReader: Send + Sync {
    /// The account's templates by name and language.
    async fn list(
        &self,
        tenant: TenantId,
        filter: &TemplateFilter,
        page: &PageRequest,
    ) -> AppResult<Page<TemplateDocument>>;
    /// Every template of a WhatsApp Business Account, gone ones too.
    async fn of_account(&self, tenant: TenantId, waba_id: &str) -> AppResult<Vec<TemplateDocument>>;
    /// Every template with one of these names, gone ones too.
    async fn named(&self, tenant: TenantId, names: &[&str]) -> AppResult<Vec<TemplateDocument>>;
    /// One template.
    async fn get(&self, tenant: TenantId, id: TemplateId) -> AppResult<Option<TemplateDocument>>;
}

/// Reads groups of templates.
#[async_trait]
pub trait TemplateGroupReader: Send + Sync {
    /// The account's groups, oldest first.
    async fn list(&self, tenant: TenantId) -> AppResult<Vec<GroupDocument>>;
    /// One group.
    async fn get(&self, tenant: TenantId, id: TemplateGroupId) -> AppResult<Option<GroupDocument>>;
    /// The oldest group of this name.
    async fn named(&self, tenant: TenantId, name: &str) -> AppResult<Option<TemplateGroupId>>;
}

/// Why a provider did not do something with a template.
#[derive(Debug, Clone, PartialEq)]
pub enum ProviderFailure {
    /// It said no.
    Refused {
        /// Its error, classed.
        error: ProviderError,
        /// What the error is about.
        about: About,
        /// Seconds to wait, when it was too much at once.
        wait_sec: Option<u64>,
    },
    /// The request never left: safe to try again.
    NotSent(String),
    /// The request left and no answer came: it may have taken effect.
    InDoubt(String),
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A component of this kind, such as `BODY`.
    Component(&'static str),
    /// The components as a whole.
    Components,
    /// The name.
    Name,
    /// How many templates there are, or how fast they come.
    Quantity,
    /// A template that is not there.
    Absence,
    /// Anything else: the credential, the account, Meta itself.
    Else,
}

/// What the provider answered when it took a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its id.
    pub provider_id: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// The category it was put in.
    pub category: Option<Category>,
}

/// A template as the provider lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// What is told of it.
    pub listing: Listing,
}

/// A page of templates as the provider lists them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListedPage {
    /// The templates.
    pub templates: Vec<Listed>,
    /// Where the next page begins.
    pub after: Option<String>,
}

/// A file to be uploaded as a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its name.
    pub file_name: String,
    /// Its media type.
    pub content_type: String,
    /// Its bytes, in base64.
    pub data: String,
}

/// Where templates are reviewed: Meta.
#[async_trait]
pub trait TemplateProvider: Send + Sync {
    /// Submits a template.
    async fn create(&self, account: &BusinessAccount, draft: &Draft) -> Result<Taken, ProviderFailure>;
    /// A page of the account's templates; `name` alone when one is given.
    async fn page(
        &self,
        account: &BusinessAccount,
        name: Option<&str>,
        after: Option<&str>,
    ) -> Result<ListedPage, ProviderFailure>;
    /// Deletes a name in every language, or the one template with this id.
    async fn delete(
        &self,
        account: &BusinessAccount,
        name: &str,
        provider_id: Option<&str>,
    ) -> Result<(), ProviderFailure>;
    /// Uploads a sample; the handle a template names it by.
    async fn upload(&self, account: &BusinessAccount, sample: &Sample) -> Result<String, ProviderFailure>;
}

/// How many templates may be submitted in an hour, whatever the number of nodes.
#[async_trait]
pub trait CreationAllowance: Send + Sync {
    /// Takes one; else the seconds until there is one.
    async fn take(&self, tenant: TenantId, waba_id: &str) -> AppResult<Result<(), u64>>;
    /// Gives one back that was not used.
    async fn give_back(&self, tenant: TenantId, waba_id: &str) -> AppResult<()>;
}

/// Whose turn a sync is.
pub enum Turn {
    /// Ours; it is held until it is finished or dropped.
    Ours(Box<dyn SyncTurn>),
    /// Somebody just did it; this came of it.
    Recent(AccountReport),
    /// Nobody's for now, and why.
    Nobody(&'static str),
}

/// A turn that is held.
#[async_trait]
pub trait SyncTurn: Send {
    /// Tells what came of it, and lets the next one in.
    async fn finish(self: Box<Self>, report: &AccountReport) -> AppResult<()>;
}

/// Lets one sync of a WhatsApp Business Account in at a time, and none while Meta's quota is near.
#[async_trait]
pub trait SyncGate: Send + Sync {
    /// Waits for a turn, or for what came of another's.
    async fn enter(&self, tenant: TenantId, waba_id: &str) -> AppResult<Turn>;
}
