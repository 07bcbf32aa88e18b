//! Every adapter, once.

use std::sync::Arc;
use std::time::Duration;

use application::channels::lines::{LINE_RATE, LINE_RATE_MAX, Lines};
use application::commands::Commands;
use application::contacts::erasure::Erasure;
use application::conversations::Conversations;
use application::conversations::inbound::Inbound;
use application::conversations::ports::{LineDirectory, Pause};
use application::conversations::runs::RunDecisions;
use application::conversations::triggers::Triggers;
use application::flows::Flows;
use application::flows::ports::{FlowLibrary, FlowReader};
use application::flows::what_if::WhatIf;
use application::history::History;
use application::identity::Identity;
use application::leads::Leads;
use application::limits::signed_calls::SignedCalls;
use application::limits::turns::Turns;
use application::time::{Clock, NewId};
use application::time_travel::TimeTravel;
use async_trait::async_trait;
use domain::conversation::Conversation;
use domain::flow::Flow;
use domain::lead::Lead;
use infrastructure::event_store::append::Appender;
use infrastructure::event_store::commands::{PgCommands, Pokes};
use infrastructure::event_store::history::PgHistory;
use infrastructure::event_store::keys::KeyRing;
use infrastructure::event_store::past::PgPast;
use infrastructure::event_store::rebuild::admin::PgProjections;
use infrastructure::event_store::sent_messages::PgSentMessages;
use infrastructure::event_store::waiter::{Checkpoints, PgCatchUp};
use infrastructure::inbound::intake::WhatsAppIntake;
use infrastructure::inbound::journal::Journal;
use infrastructure::postgres::api_clients::PgApiClients;
use infrastructure::postgres::contacts::PgContacts;
use infrastructure::postgres::flow_library::PgFlowLibrary;
use infrastructure::postgres::idempotency::PgIdempotency;
use infrastructure::postgres::limits::LimitKeys;
use infrastructure::postgres::limits::allowances::PgAllowances;
use infrastructure::postgres::limits::sign_in_attempts::PgSignInAttempts;
use infrastructure::postgres::limits::used_signatures::PgUsedSignatures;
use infrastructure::postgres::lines::PgLines;
use infrastructure::postgres::personal_data::PgPersonalData;
use infrastructure::postgres::readers::conversations::PgConversationReader;
use infrastructure::postgres::readers::flows::PgFlowReader;
use infrastructure::postgres::readers::leads::PgLeadReader;
use infrastructure::postgres::readers::recorded_runs::PgRecordedRuns;
use infrastructure::postgres::sessions::PgSessions;
use infrastructure::postgres::users::PgUsers;
use infrastructure::sealing::proofs::PgProofs;
use infrastructure::sealing::sealer::Sealer;
use infrastructure::security::jwt::SessionTokens;
use infrastructure::security::ports::{Argon2Passwords, HashedApiKeys, JwtTokens};
use infrastructure::security::secret_box::SecretBox;
use sqlx::PgPool;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::app::App;
use crate::compose::workers::projections;
use crate::config::Config;
use crate::middleware::rate_limit::{Limits, RateLimits};

/// What a process is made of: the database, time, ids, the master key.
pub struct Grounds {
    /// The database.
    pub pool: PgPool,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
    /// The master key.
    pub key: [u8; 32],
    /// What seals under it.
    pub secrets: SecretBox,
    /// This process among the nodes.
    pub node: Uuid,
}

/// The rooms put together, with what the workers need of them.
pub struct Adapters {
    /// What the routes need.
    pub app: App,
    /// Wakes workers.
    pub pokes: Arc<Pokes>,
    /// The keys of contacts.
    pub keys: Arc<KeyRing>,
    /// Where projections stand.
    pub checkpoints: Arc<Checkpoints>,
    /// The journal grew.
    pub journal_grown: Arc<Notify>,
    /// Takes in what channels tell.
    pub inbound: Arc<Inbound>,
    /// Moves runs.
    pub decisions: Arc<RunDecisions>,
    /// Conversation commands.
    pub conversation_commands: Arc<dyn Commands<Conversation>>,
    /// Lines.
    pub lines: Arc<PgLines>,
    /// People.
    pub users: Arc<PgUsers>,
    /// Seals the log.
    pub sealer: Arc<Sealer>,
}

struct Sleep;

#[async_trait]
impl Pause for Sleep {
    async fn pause(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}

/// Builds everything on these grounds. Long on purpose: one list, in the order things depend on each other.
pub fn build(grounds: &Grounds, config: &Config, limits: RateLimits) -> Adapters {
    let Grounds { pool, clock, ids, key, secrets, node } = grounds;
    let (clock, ids) = (Arc::clone(clock), Arc::clone(ids));
    let (pokes, checkpoints, journal_grown) =
        (Arc::<Pokes>::default(), Arc::<Checkpoints>::default(), Arc::<Notify>::default());
    let appender = Appender::start(pool.clone());
    let sealer = Arc::new(Sealer::new(pool.clone(), secrets.clone(), &config.data_dir));
    let keys = Arc::new(KeyRing::new(pool.clone(), secrets.clone()));
    let flow_commands: Arc<dyn Commands<Flow>> =
        Arc::new(PgCommands::new(pool.clone(), Arc::clone(&keys), appender.clone(), Arc::clone(&pokes)));
    let lead_commands: Arc<dyn Commands<Lead>> =
        Arc::new(PgCommands::new(pool.clone(), Arc::clone(&keys), appender.clone(), Arc::clone(&pokes)));
    let conversation_commands: Arc<dyn Commands<Conversation>> =
        Arc::new(PgCommands::new(pool.clone(), Arc::clone(&keys), appender, Arc::clone(&pokes)));
    let catch_up = Arc::new(PgCatchUp { pool: pool.clone(), checkpoints: Arc::clone(&checkpoints) });
    let lines = Arc::new(PgLines::new(pool.clone(), secrets.clone()));
    let directory: Arc<dyn LineDirectory> = lines.clone();
    let contacts = Arc::new(PgContacts::new(pool.clone()));
    let library: Arc<dyn FlowLibrary> = Arc::new(PgFlowLibrary::new(pool.clone()));
    let flow_reader: Arc<dyn FlowReader> = Arc::new(PgFlowReader { pool: pool.clone() });
    let sessions = Arc::new(PgSessions::new(pool.clone()));
    let users = Arc::new(PgUsers::new(pool.clone(), Arc::clone(&sessions)));

    let decisions = Arc::new(RunDecisions {
        commands: Arc::clone(&conversation_commands),
        leads: Arc::clone(&lead_commands),
        library: Arc::clone(&library),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
    });
    let inbound = Arc::new(Inbound {
        decisions: Arc::clone(&decisions),
        commands: Arc::clone(&conversation_commands),
        contacts: contacts.clone(),
        lines: Arc::clone(&directory),
        sent: Arc::new(PgSentMessages { pool: pool.clone() }),
    });
    let past = Arc::new(PgPast { pool: pool.clone(), keys: Arc::clone(&keys) });
    let leads = Arc::new(Leads {
        commands: lead_commands,
        contacts: contacts.clone(),
        past: past.clone(),
        reader: Arc::new(PgLeadReader { pool: pool.clone() }),
        catch_up: catch_up.clone(),
        clock: Arc::clone(&clock),
    });
    let conversations = Arc::new(Conversations {
        commands: Arc::clone(&conversation_commands),
        reader: Arc::new(PgConversationReader { pool: pool.clone() }),
        past: past.clone(),
        catch_up: catch_up.clone(),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
        pause: Arc::new(Sleep),
    });
    let secret = |secret: &Option<crate::config::Secret<String>>| secret.as_ref().map(|it| it.expose().clone());
    let webhooks = WhatsAppIntake {
        journal: Journal::start(pool.clone(), *node, Arc::clone(&journal_grown)),
        lines: lines.clone(),
        app_secret: secret(&config.meta.app_secret),
        verify_token: secret(&config.meta.verify_token),
    };
    let proofs = PgProofs::new(pool.clone(), secrets.clone(), config.data_dir.clone(), Arc::clone(&clock));
    let erasure = Erasure {
        conversations: Arc::clone(&conversation_commands),
        leads: Arc::clone(&leads.commands),
        data: Arc::new(PgPersonalData { pool: pool.clone(), projections: projections(&keys) }),
        catch_up: catch_up.clone(),
        clock: Arc::clone(&clock),
    };
    let limit_keys = LimitKeys::new(key);
    let app = App {
        erasure,
        proofs: Arc::new(proofs),
        identity: Identity {
            users: users.clone(),
            sessions,
            clients: Arc::new(PgApiClients { pool: pool.clone() }),
            passwords: Arc::new(Argon2Passwords),
            tokens: Arc::new(JwtTokens { tokens: SessionTokens::new(key), clock: Arc::clone(&clock) }),
            keys: Arc::new(HashedApiKeys),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
        },
        what_if: WhatIf {
            reader: Arc::clone(&flow_reader),
            library: Arc::clone(&library),
            runs: Arc::new(PgRecordedRuns { pool: pool.clone(), keys: Arc::clone(&keys) }),
            lines: Arc::clone(&directory),
            clock: Arc::clone(&clock),
        },
        flows: Flows {
            commands: flow_commands,
            reader: flow_reader,
            library,
            past: past.clone(),
            catch_up,
            clock,
            ids,
        },
        triggers: Triggers {
            decisions: Arc::clone(&decisions),
            conversations: Arc::clone(&conversations),
            leads: Arc::clone(&leads),
            contacts,
            lines: directory,
        },
        conversations,
        leads,
        history: History { reader: Arc::new(PgHistory { pool: pool.clone(), keys: Arc::clone(&keys) }) },
        past: TimeTravel {
            conversations: past.clone(),
            flows: past.clone(),
            leads: past,
            clock: Arc::clone(&grounds.clock),
        },
        lines: Lines { store: lines.clone(), default_rate: if config.sandbox { LINE_RATE_MAX } else { LINE_RATE } },
        projections: Arc::new(PgProjections::new(pool.clone(), projections(&keys))),
        webhooks: Arc::new(webhooks),
        idempotency: Arc::new(PgIdempotency::new(pool.clone(), secrets.clone(), key)),
        limits: Limits { rates: limits, allowances: Arc::new(PgAllowances::new(pool.clone(), limit_keys.clone())) },
        turns: Turns::new(
            Arc::new(PgSignInAttempts::new(pool.clone(), limit_keys.clone())),
            Arc::new(Sleep),
            limits.patience,
        ),
        signed_calls: SignedCalls {
            used: Arc::new(PgUsedSignatures::new(pool.clone(), limit_keys)),
            clock: Arc::clone(&grounds.clock),
        },
        secure_cookies: config.public_url.starts_with("https://"),
    };
    Adapters {
        app,
        keys,
        pokes,
        checkpoints,
        journal_grown,
        inbound,
        decisions,
        conversation_commands,
        lines,
        users,
        sealer,
    }
}
