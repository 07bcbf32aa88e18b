//! What the flow use cases need from outside.

use std::sync::Arc;

use async_trait::async_trait;
use domain::conversation::command::PublishedFlow;
use domain::shared::ids::{FlowId, TenantId};

use crate::error::AppResult;
use crate::flows::views::{FlowVersionView, FlowView};
use crate::page::{Page, PageRequest};

/// Reads flows.
#[async_trait]
pub trait FlowReader: Send + Sync {
    /// The account's flows, oldest first.
    async fn list(&self, tenant: TenantId, page: &PageRequest) -> AppResult<Page<FlowView>>;
    /// One flow.
    async fn get(&self, tenant: TenantId, id: FlowId) -> AppResult<Option<FlowView>>;
    /// A flow's versions, newest first.
    async fn versions(&self, tenant: TenantId, id: FlowId, page: &PageRequest) -> AppResult<Page<FlowVersionView>>;
}

/// The graphs that run.
#[async_trait]
pub trait FlowLibrary: Send + Sync {
    /// Every active flow of the account, oldest first.
    async fn active(&self, tenant: TenantId) -> AppResult<Arc<[PublishedFlow]>>;
    /// One version, also of a flow that is paused or gone.
    async fn version(&self, tenant: TenantId, flow: FlowId, version: u32) -> AppResult<Option<PublishedFlow>>;
    /// What is remembered of the account's active flows is outdated.
    fn forget(&self, tenant: TenantId);
    /// The account that owns a flow; for triggers that carry no session.
    async fn owner(&self, flow: FlowId) -> AppResult<Option<TenantId>>;
}
