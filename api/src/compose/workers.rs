//! What runs beside the requests, by role.

use std::sync::Arc;

use application::appointments::views::AppointmentView;
use application::bulk::delivery::BulkDelivery;
use application::conversations::claims::Claims;
use application::conversations::message_view::MessageView;
use application::conversations::views::ConversationView;
use application::flows::views::{FlowVersionView, FlowView};
use application::identity::letters::{AuthTemplate, Post};
use application::leads::views::LeadView;
use application::templates::fallback::Fallback;
use application::templates::groups::GroupDocument;
use application::templates::views::TemplateDocument;
use infrastructure::bulk_sender::BulkSender;
use infrastructure::channels::whatsapp::send::WhatsApp;
use infrastructure::event_store::claims::PgClaims;
use infrastructure::event_store::keys::KeyRing;
use infrastructure::event_store::live::LiveProjections;
use infrastructure::event_store::projector::{DocumentProjection, Projection};
use infrastructure::event_store::rebuild::Rebuilder;
use infrastructure::event_store::waiter;
use infrastructure::http_client;
use infrastructure::inbound::processor::Processor;
use infrastructure::jobs::Jobs;
use infrastructure::nodes;
use infrastructure::outbox::departures::Departures;
use infrastructure::outbox::worker::Outbox;
use infrastructure::post::SealedPost;
use infrastructure::postgres::bulk_sends::opt_outs::PgOptOuts;
use infrastructure::retention;
use infrastructure::security::rotation;
use infrastructure::security::secret_box::SecretBox;
use infrastructure::template_batches;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::compose::adapters::{Adapters, Grounds};
use crate::config::Config;

/// Every projection.
pub fn projections(keys: &Arc<KeyRing>) -> Vec<Arc<dyn Projection>> {
    vec![
        Arc::new(DocumentProjection::<FlowView>::new(Arc::clone(keys))),
        Arc::new(DocumentProjection::<FlowVersionView>::new(Arc::clone(keys))),
        Arc::new(DocumentProjection::<ConversationView>::new(Arc::clone(keys))),
        Arc::new(DocumentProjection::<MessageView>::new(Arc::clone(keys))),
        Arc::new(DocumentProjection::<LeadView>::new(Arc::clone(keys))),
        Arc::new(DocumentProjection::<TemplateDocument>::new(Arc::clone(keys))),
        Arc::new(DocumentProjection::<GroupDocument>::new(Arc::clone(keys))),
        Arc::new(DocumentProjection::<AppointmentView>::new(Arc::clone(keys))),
    ]
}

/// Starts what the roles say. It ends after `stop`, once what is under way is done.
///
/// # Errors
/// The database.
pub async fn start(
    grounds: &Grounds,
    adapters: &Adapters,
    config: &Config,
    stop: &CancellationToken,
) -> Result<TaskTracker, sqlx::Error> {
    let (roles, meta) = (config.roles, &config.meta);
    let tasks = TaskTracker::new();
    let projections = projections(&adapters.keys);
    let names: Vec<&str> = projections.iter().map(|projection| projection.name()).collect();
    waiter::register(&grounds.pool, &names).await?;
    nodes::beat(&grounds.pool, grounds.node).await?;
    // Whoever takes webhooks in processes them: the journal's rows belong to their node.
    let adopted = Arc::clone(&adapters.journal_grown);
    tasks.spawn(nodes::run(grounds.pool.clone(), grounds.node, adopted, stop.clone()));
    let processor = Processor::start(
        grounds.pool.clone(),
        grounds.node,
        Arc::clone(&adapters.inbound),
        Arc::clone(&grounds.ids),
        Arc::clone(&adapters.journal_grown),
    );
    tasks.spawn(processor.run(stop.clone()));
    if roles.projector {
        tasks.spawn(Arc::clone(&adapters.sealer).run(stop.clone()));
        tasks.spawn(Rebuilder::new(grounds.pool.clone(), projections.clone()).run(stop.clone()));
        let live = LiveProjections { projections, keys: Arc::clone(&adapters.keys), pool: grounds.pool.clone() };
        let (pokes, checkpoints) = (Arc::clone(&adapters.pokes), Arc::clone(&adapters.checkpoints));
        tasks.spawn(waiter::run(live, pokes, checkpoints, stop.clone()));
    }
    if roles.worker {
        tasks.spawn(retention::run(grounds.pool.clone(), stop.clone()));
        if grounds.secrets.is_rotating() {
            tasks.spawn(rotate(grounds.pool.clone(), grounds.secrets.clone()));
        }
        let http = http_client::client(http_client::DEFAULT_TIMEOUT);
        let channel = Arc::new(WhatsApp::new(http, &meta.graph_url, &meta.graph_version));
        let outbox = Arc::new(Outbox {
            pool: grounds.pool.clone(),
            channel: channel.clone(),
            lines: adapters.lines.clone(),
            stops: adapters.lines.clone(),
            directory: adapters.lines.clone(),
            decisions: Arc::clone(&adapters.decisions),
            handoff: Arc::clone(&adapters.handoff),
            departures: Departures::start(grounds.pool.clone()),
        });
        tasks.spawn(outbox.run(stop.clone()));
        let bulk_sender = Arc::new(BulkSender {
            pool: grounds.pool.clone(),
            delivery: BulkDelivery { decisions: Arc::clone(&adapters.decisions), contacts: adapters.contacts.clone() },
            directory: adapters.lines.clone(),
            lines: adapters.lines.clone(),
            limits: Arc::clone(&adapters.handoff.limits),
        });
        tasks.spawn(bulk_sender.run(stop.clone()));
        let jobs = Arc::new(Jobs {
            pool: grounds.pool.clone(),
            decisions: Arc::clone(&adapters.decisions),
            conversations: Arc::clone(&adapters.conversation_commands),
            directory: adapters.lines.clone(),
            leads: Arc::clone(&adapters.app.leads),
            groups: Arc::clone(&adapters.app.template_groups),
            opt_outs: Arc::new(PgOptOuts { pool: grounds.pool.clone() }),
            fallback: Fallback {
                decisions: Arc::clone(&adapters.decisions),
                conversations: Arc::clone(&adapters.conversation_commands),
                templates: Arc::clone(&adapters.template_commands),
                lines: adapters.lines.clone(),
                catch_up: Arc::clone(&adapters.catch_up),
                clock: Arc::clone(&grounds.clock),
            },
            claims: Claims {
                commands: Arc::clone(&adapters.conversation_commands),
                reader: Arc::new(PgClaims { pool: grounds.pool.clone() }),
                clock: Arc::clone(&grounds.clock),
            },
            post: post(grounds, adapters, config, channel),
            pokes: Arc::clone(&adapters.pokes),
        });
        tasks.spawn(jobs.run(stop.clone()));
        tasks.spawn(template_batches::run(Arc::clone(&adapters.app.template_care.batches), stop.clone()));
    }
    tasks.close();
    Ok(tasks)
}

/// Delivers letters.
fn post(grounds: &Grounds, adapters: &Adapters, config: &Config, channel: Arc<WhatsApp>) -> SealedPost {
    let template = AuthTemplate {
        name: config.verification.template.clone(),
        language: config.verification.template_language.clone(),
    };
    let post = Post {
        mailer: grounds.mailer.clone(),
        channel,
        lines: adapters.lines.clone(),
        verifications: adapters.verifications.clone(),
        template,
        clock: Arc::clone(&grounds.clock),
    };
    SealedPost { secrets: grounds.secrets.clone(), post }
}

/// Seals again what the former master key sealed.
async fn rotate(pool: PgPool, secrets: SecretBox) {
    match rotation::rotate(&pool, &secrets).await {
        Ok(values) => {
            tracing::info!(values, "All is sealed under the present master key; the former is not needed any more");
        }
        Err(error) => tracing::error!(%error, "Not everything is sealed under the present master key"),
    }
}
