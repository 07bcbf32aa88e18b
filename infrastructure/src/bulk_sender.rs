//! The bulk sender: hands the messages of running bulk sends over as their line takes them, so that they go straight out,
//! and never further ahead than it sends in half a second, so that a cancelled one stops and a paused template is noticed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use application::actor::{Actor, Cause};
use application::bulk::delivery::{BulkDelivery, Errand, Skipped};
use application::channels::lines::LineStore;
use application::conversations::ports::{LineDirectory, LineFacts};
use application::error::{AppError, AppResult};
use application::templates::choose::Occasion;
use domain::conversation::command::PublishedFlow;
use domain::conversation::template_choice::TemplateWanted;
use domain::flow::graph::NodeId;
use domain::shared::ids::BulkSendId;
use domain::shared::phone::Phone;
use futures::stream::{self, StreamExt};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::outbox::limits::Limits;
use crate::postgres::bulk_sends::claims::{self, Claimed, UnderWay};

/// How often running bulk sends are looked at while nothing can be handed over and nobody can say for how long.
const IDLE: Duration = Duration::from_millis(20);
/// How often those are forgotten that nobody prepares any more.
const TIDY: Duration = Duration::from_secs(60);
/// How often they are looked for while there are none, or all that is left is in somebody else's hands: that is found
/// out by walking over a whole bulk send.
const LOOK: Duration = Duration::from_millis(500);
/// Messages handed over ahead of the line, at least and at most.
const AHEAD: (i64, i64) = (40, 1_000);
/// Recipients claimed at a time, at least and at most: what the line sends in an eighth of a second, more when it has
/// been kept from sending, and what it sends in a thirty-second part while people talk on it, whose replies share the
/// writer and shall not wait behind many.
const CLAIM: (i64, i64) = (5, 250);
/// Messages handed over at once: they share statements and commits.
const AT_ONCE: usize = 128;

/// Before the first recipient.
const NOBODY: i32 = -1;

/// How far a bulk send has come.
struct Reached {
    /// The last recipient that was claimed: what lies before need not be walked over again.
    number: i32,
    /// Everybody was walked over and nobody was to be had: not again before this.
    rests_until: Option<Instant>,
}

impl Default for Reached {
    fn default() -> Self {
        Self { number: NOBODY, rests_until: None }
    }
}

/// What a look at a bulk send came to.
#[derive(Clone, Copy)]
enum Advanced {
    /// Recipients are done with; there may be more.
    Some,
    /// Nothing, and nothing will be before this has passed.
    Wait(Duration),
}

impl Advanced {
    /// Of two bulk sends, what is to be done first.
    fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::Wait(a), Self::Wait(b)) => Self::Wait(a.min(b)),
            _ => Self::Some,
        }
    }
}

/// Hands bulk sends over.
pub struct BulkSender {
    /// The database.
    pub pool: PgPool,
    /// Hands a message over.
    pub delivery: BulkDelivery,
    /// The lines' accounts.
    pub directory: Arc<dyn LineDirectory>,
    /// The lines' rates.
    pub lines: Arc<dyn LineStore>,
    /// What the lines take at the moment.
    pub limits: Arc<Limits>,
}

impl BulkSender {
    /// Works until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut tidied: Option<Instant> = None;
        let mut reached = HashMap::new();
        while !stop.is_cancelled() {
            if tidied.is_none_or(|at| at.elapsed() >= TIDY) {
                if let Err(error) = claims::forget_unprepared(&self.pool).await {
                    tracing::warn!(%error, "Bulk sends that nobody prepares could not be forgotten");
                }
                tidied = Some(Instant::now());
            }
            let pause = match self.round(&mut reached).await {
                Ok(None) => LOOK,
                Ok(Some(Advanced::Wait(wait))) => wait,
                Ok(Some(Advanced::Some)) => continue,
                Err(error) => {
                    tracing::warn!(%error, "Bulk sends could not go on");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// A claim of each bulk send under way. `None` when there is none under way.
    async fn round(&self, reached: &mut HashMap<BulkSendId, Reached>) -> AppResult<Option<Advanced>> {
        let under_way = claims::under_way(&self.pool).await?;
        reached.retain(|id, _| under_way.iter().any(|bulk| bulk.id == *id));
        if under_way.is_empty() {
            return Ok(None);
        }
        let mut advanced = Advanced::Wait(LOOK);
        for bulk in under_way {
            let reached = reached.entry(bulk.id).or_default();
            let rests = reached.rests_until.map(|until| until.saturating_duration_since(Instant::now()));
            let this = match rests.filter(|rests| !rests.is_zero()) {
                Some(rests) => Advanced::Wait(rests),
                None => self.advance(&bulk, reached).await?,
            };
            advanced = advanced.sooner(this);
        }
        Ok(Some(advanced))
    }

    /// Claims recipients after those that were claimed before, and when there are none, from the first: whose lease ran
    /// out. When nobody is left at all, the bulk send is complete.
    async fn claim(&self, bulk: BulkSendId, token: Uuid, reached: &mut Reached, many: i64) -> AppResult<Vec<Claimed>> {
        let mut claimed = claims::claim(&self.pool, bulk, token, (reached.number, many)).await?;
        if claimed.is_empty() && reached.number > NOBODY {
            reached.number = NOBODY;
            claimed = claims::claim(&self.pool, bulk, token, (reached.number, many)).await?;
        }
        match claimed.iter().map(|recipient| recipient.number).max() {
            Some(last) => reached.number = last,
            None => {
                reached.rests_until = Some(Instant::now() + LOOK);
                claims::complete(&self.pool, bulk).await?;
            }
        }
        Ok(claimed)
    }

    async fn advance(&self, bulk: &UnderWay, reached: &mut Reached) -> AppResult<Advanced> {
        let line = self.directory.find(&bulk.line).await?.filter(|line| line.tenant == bulk.tenant);
        let Some(line) = line else { return self.give_up(bulk, reached).await };
        let Some(open) = self.lines.open(&bulk.line).await? else { return Ok(Advanced::Wait(IDLE)) };
        let rate = i64::from(open.messages_per_second);
        let ahead = (rate / 2).clamp(AHEAD.0, AHEAD.1);
        self.limits.learn(&bulk.line, open.messages_per_second);
        let room = self.limits.room_for_broadcasts(&bulk.line);
        // Not one by one as the line takes them: what goes together shares its commits.
        let least = (rate / if room.people_talk { 32 } else { 8 }).clamp(CLAIM.0, CLAIM.1).min(room.most);
        let most = if room.people_talk { least } else { CLAIM.1 };
        let looked = Instant::now();
        let many = match self.limits.let_broadcasts(&bulk.line, (least, most)) {
            Ok(many) => many,
            Err(wait) => return Ok(Advanced::Wait(wait.unwrap_or(IDLE))),
        };
        if ahead - claims::waiting(&self.pool, &bulk.line, ahead).await? < many {
            return Ok(Advanced::Wait(IDLE));
        }
        let token = Uuid::new_v4();
        let claimed = self.claim(bulk.id, token, reached, many).await?;
        if claimed.is_empty() {
            return Ok(Advanced::Wait(LOOK));
        }
        self.limits.let_through(&bulk.line, looked);
        let flow = self.flow(bulk).await?;
        let outcomes = self.hand_over(bulk, &line, flow.as_ref(), token, claimed).await?;
        let none_done = outcomes.is_empty();
        let skipped: Vec<_> = outcomes.into_iter().filter_map(|(number, it)| Some((number, it?))).collect();
        claims::skip(&self.pool, bulk.id, token, &skipped).await?;
        Ok(if none_done { Advanced::Wait(LOOK) } else { Advanced::Some })
    }

    /// The flow answers go on in, as long as it is active.
    async fn flow(&self, bulk: &UnderWay) -> AppResult<Option<(PublishedFlow, NodeId)>> {
        let Some(id) = bulk.plan.flow_id else { return Ok(None) };
        let active = self.delivery.decisions.library.active(bulk.tenant).await?;
        let flow = active.iter().find(|flow| flow.flow_id == id);
        Ok(flow.and_then(|flow| Some((flow.clone(), flow.outbound_trigger()?.0))))
    }

    /// Those who are done with, and why they are not sent to; the lease of whoever is not among them runs out.
    async fn hand_over(
        &self,
        bulk: &UnderWay,
        line: &LineFacts,
        flow: Option<&(PublishedFlow, NodeId)>,
        token: Uuid,
        claimed: Vec<Claimed>,
    ) -> AppResult<Vec<(i32, Option<Skipped>)>> {
        let wanted = TemplateWanted::by(&bulk.plan.content);
        let subject = format!("bulk_send:{}#{}", bulk.id, claimed.first().map_or(0, |first| first.number));
        let cause = Cause { actor: Actor::System, correlation: bulk.id.0, causation: None, once: None };
        let occasion = Occasion { line, cause: &cause, subject: &subject, marketing: bulk.plan.allow_marketing };
        let many = u32::try_from(claimed.len()).map_err(AppError::internal)?;
        let choices = self.delivery.decisions.templates.choose_many(occasion, &wanted, many).await?;
        let gone = bulk.plan.flow_id.is_some() && flow.is_none();
        let each = claimed.into_iter().zip(choices).map(|(recipient, choice)| async move {
            let skipped = |reason, details| (recipient.number, Some(Skipped::new(reason, details)));
            if recipient.opted_out {
                return Some(skipped("opted_out", ""));
            }
            if gone {
                return Some(skipped("flow_inactive", "the flow is not active any more"));
            }
            let Ok(phone) = Phone::parse(&recipient.phone) else { return Some(skipped("erased", "")) };
            let (number, params) = (recipient.number, recipient.params.clone());
            let errand = Errand { bulk: bulk.id, number, token, phone, params, choice };
            match self.delivery.hand_over(line, &bulk.plan, flow, errand).await {
                Ok(outcome) => Some((number, outcome)),
                Err(error) => {
                    // Its lease runs out, and it comes again.
                    tracing::warn!(bulk = %bulk.id, number, %error, "A bulk message was not handed over");
                    None
                }
            }
        });
        Ok(stream::iter(each).buffer_unordered(AT_ONCE).filter_map(async |it| it).collect().await)
    }

    /// The line is not the account's any more.
    async fn give_up(&self, bulk: &UnderWay, reached: &mut Reached) -> AppResult<Advanced> {
        let token = Uuid::new_v4();
        let claimed = self.claim(bulk.id, token, reached, CLAIM.1).await?;
        let words = "the account has no such line any more";
        let skipped: Vec<_> = claimed.iter().map(|it| (it.number, Skipped::new("line_gone", words))).collect();
        claims::skip(&self.pool, bulk.id, token, &skipped).await?;
        Ok(if skipped.is_empty() { Advanced::Wait(LOOK) } else { Advanced::Some })
    }
}
