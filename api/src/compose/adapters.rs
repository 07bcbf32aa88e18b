//! Every adapter, once.

use std::sync::Arc;
use std::time::Duration;

use application::appointments::Appointments;
use application::audit::entries::Entries;
use application::bulk::BulkSends;
use application::channels::lines::{LINE_RATE, LINE_RATE_MAX, Lines};
use application::commands::{CatchUp, Commands};
use application::contacts::erasure::Erasure;
use application::conversations::Conversations;
use application::conversations::inbound::Inbound;
use application::conversations::outbound_status::OutboundStatuses;
use application::conversations::ports::{LineDirectory, Pause};
use application::conversations::runs::RunDecisions;
use application::conversations::triggers::Triggers;
use application::effects::Reacts;
use application::flows::Flows;
use application::flows::ports::{FlowLibrary, FlowReader};
use application::flows::what_if::WhatIf;
use application::history::History;
use application::identity::Identity;
use application::identity::letters::Mailer;
use application::identity::social::SocialSignIn;
use application::identity::verification::Verification;
use application::leads::Leads;
use application::limits::signed_calls::SignedCalls;
use application::limits::turns::Turns;
use application::monitoring::Monitoring;
use application::people::People;
use application::templates::Templates;
use application::templates::choose::TemplateChooser;
use application::templates::groups::TemplateGroups;
use application::templates::hear::TemplateHearing;
use application::time::{Clock, NewId};
use application::time_travel::TimeTravel;
use async_trait::async_trait;
use domain::appointment::Appointment;
use domain::conversation::Conversation;
use domain::flow::Flow;
use domain::lead::Lead;
use domain::template::Template;
use domain::template_group::TemplateGroup;
use infrastructure::channels::whatsapp::templates::GraphTemplates;
use infrastructure::event_store::append::Appender;
use infrastructure::event_store::commands::{PgCommands, Pokes};
use infrastructure::event_store::history::PgHistory;
use infrastructure::event_store::keys::KeyRing;
use infrastructure::event_store::past::PgPast;
use infrastructure::event_store::rebuild::admin::PgProjections;
use infrastructure::event_store::sent_messages::PgSentMessages;
use infrastructure::event_store::waiter::{Checkpoints, PgCatchUp};
use infrastructure::http_client;
use infrastructure::inbound::intake::WhatsAppIntake;
use infrastructure::inbound::journal::Journal;
use infrastructure::outbox::handoff::Handoff;
use infrastructure::postgres::Remembers;
use infrastructure::postgres::api_clients::PgApiClients;
use infrastructure::postgres::audit_entries::PgAuditEntries;
use infrastructure::postgres::bulk_sends::PgBulkSends;
use infrastructure::postgres::bulk_sends::opt_outs::PgOptOuts;
use infrastructure::postgres::contacts::PgContacts;
use infrastructure::postgres::delivery::PgDeliveries;
use infrastructure::postgres::employees::PgEmployees;
use infrastructure::postgres::flow_library::PgFlowLibrary;
use infrastructure::postgres::idempotency::PgIdempotency;
use infrastructure::postgres::limits::LimitKeys;
use infrastructure::postgres::limits::allowances::PgAllowances;
use infrastructure::postgres::limits::sign_in_attempts::PgSignInAttempts;
use infrastructure::postgres::limits::used_signatures::PgUsedSignatures;
use infrastructure::postgres::lines::PgLines;
use infrastructure::postgres::personal_data::PgPersonalData;
use infrastructure::postgres::preferences::PgPreferences;
use infrastructure::postgres::queue_log::PgQueueLog;
use infrastructure::postgres::readers::appointments::PgAppointmentReader;
use infrastructure::postgres::readers::conversations::PgConversationReader;
use infrastructure::postgres::readers::flows::PgFlowReader;
use infrastructure::postgres::readers::leads::PgLeadReader;
use infrastructure::postgres::readers::recorded_runs::PgRecordedRuns;
use infrastructure::postgres::readers::templates::{PgTemplateGroupReader, PgTemplateReader};
use infrastructure::postgres::sessions::PgSessions;
use infrastructure::postgres::signing_keys::PgSigningKeys;
use infrastructure::postgres::social::PgSocialIdentities;
use infrastructure::postgres::tasks::PgTasks;
use infrastructure::postgres::template_accounts::PgTemplateAccounts;
use infrastructure::postgres::users::PgUsers;
use infrastructure::postgres::verification_codes::PgVerifications;
use infrastructure::sealing::proofs::PgProofs;
use infrastructure::sealing::sealer::Sealer;
use infrastructure::security::ports::{Argon2Passwords, HashedApiKeys, JwtTokens};
use infrastructure::security::secret_box::SecretBox;
use infrastructure::security::verification_code::KeyedCodes;
use infrastructure::social::{HttpSocialProviders, SocialSettings};
use sqlx::PgPool;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::app::App;
use crate::compose::care;
use crate::compose::workers::projections;
use crate::config::Config;
use crate::middleware::rate_limit::{Limits, RateLimits};
use crate::security::site::Site;

/// How long somebody who signs in waits for Google or Facebook.
const PROVIDERS_MAX: Duration = Duration::from_secs(10);

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
    /// Sends mail, where that is set up.
    pub mailer: Option<Arc<dyn Mailer>>,
}

/// The rooms put together, with what the workers need of them.
pub struct Adapters {
    /// What the routes need.
    pub app: App,
    /// Wakes workers.
    pub pokes: Arc<Pokes>,
    /// From appends to the sender.
    pub handoff: Arc<Handoff>,
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
    /// Template commands.
    pub template_commands: Arc<dyn Commands<Template>>,
    /// Who is behind a phone.
    pub contacts: Arc<PgContacts>,
    /// Waits for read models.
    pub catch_up: Arc<dyn CatchUp>,
    /// Lines.
    pub lines: Arc<PgLines>,
    /// People.
    pub users: Arc<PgUsers>,
    /// Seals the log.
    pub sealer: Arc<Sealer>,
    /// Codes and their letters.
    pub verifications: Arc<PgVerifications>,
}

struct Sleep;

#[async_trait]
impl Pause for Sleep {
    async fn pause(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}

/// What commands of every kind append to.
struct Log {
    pool: PgPool,
    keys: Arc<KeyRing>,
    appender: Appender,
    pokes: Arc<Pokes>,
}

impl Log {
    fn commands<A: Reacts + Clone + 'static>(&self) -> Arc<dyn Commands<A>>
    where
        A::Command: Clone + Send + Sync,
        A::Event: Send + Sync,
        A::Error: Send,
    {
        let (keys, pokes) = (Arc::clone(&self.keys), Arc::clone(&self.pokes));
        Arc::new(PgCommands::new(self.pool.clone(), keys, self.appender.clone(), pokes))
    }
}

/// Builds everything on these grounds. Long on purpose: one list, in the order things depend on each other.
pub fn build(grounds: &Grounds, config: &Config, limits: RateLimits) -> Adapters {
    let Grounds { pool, clock, ids, key, secrets, node, mailer } = grounds;
    let (clock, ids) = (Arc::clone(clock), Arc::clone(ids));
    let (pokes, checkpoints, journal_grown) =
        (Arc::<Pokes>::default(), Arc::<Checkpoints>::default(), Arc::<Notify>::default());
    let handoff = Arc::<Handoff>::default();
    let appender = Appender::handing_on(pool.clone(), Arc::clone(&handoff));
    let sealer = Arc::new(Sealer::new(pool.clone(), secrets.clone(), &config.data_dir));
    let keys = Arc::new(KeyRing::new(pool.clone(), secrets.clone()));
    let log = Log { pool: pool.clone(), keys: Arc::clone(&keys), appender, pokes: Arc::clone(&pokes) };
    let (flow_commands, lead_commands) = (log.commands::<Flow>(), log.commands::<Lead>());
    let (template_commands, group_commands) = (log.commands::<Template>(), log.commands::<TemplateGroup>());
    let (appointment_commands, conversation_commands) = (log.commands::<Appointment>(), log.commands::<Conversation>());
    let catch_up = Arc::new(PgCatchUp { pool: pool.clone(), checkpoints: Arc::clone(&checkpoints) });
    let lines = Arc::new(PgLines::new(pool.clone(), secrets.clone()));
    let directory: Arc<dyn LineDirectory> = lines.clone();
    let contacts = Arc::new(PgContacts::new(pool.clone()));
    let pg_library = Arc::new(PgFlowLibrary::new(pool.clone()));
    let library: Arc<dyn FlowLibrary> = pg_library.clone();
    let flow_reader: Arc<dyn FlowReader> = Arc::new(PgFlowReader { pool: pool.clone() });
    let sessions = Arc::new(PgSessions::new(pool.clone()));
    let others: Vec<Arc<dyn Remembers>> = vec![lines.clone(), pg_library];
    let users = Arc::new(PgUsers::new(pool.clone(), Arc::clone(&sessions)).known_to(others));
    let people = People {
        employees: Arc::new(PgEmployees::new(pool.clone(), Arc::clone(&sessions))),
        tasks: Arc::new(PgTasks { pool: pool.clone() }),
        passwords: Arc::new(Argon2Passwords),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
    };
    let former = config.former_secret_key.as_ref().map(|it| *it.expose());
    let signing_keys = Arc::new(PgSigningKeys::new(pool.clone(), *key, former));
    let codes = KeyedCodes::new(key);
    let verifications = Arc::new(PgVerifications {
        pool: pool.clone(),
        secrets: secrets.clone(),
        sessions: Arc::clone(&sessions),
        codes: codes.clone(),
    });

    let template_reader = Arc::new(PgTemplateReader { pool: pool.clone() });
    let chooser = Arc::new(TemplateChooser {
        templates: template_reader.clone(),
        groups: Arc::clone(&group_commands),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
    });
    let decisions = Arc::new(RunDecisions {
        commands: Arc::clone(&conversation_commands),
        leads: Arc::clone(&lead_commands),
        library: Arc::clone(&library),
        templates: Arc::clone(&chooser),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
    });
    let inbound = Arc::new(Inbound {
        decisions: Arc::clone(&decisions),
        commands: Arc::clone(&conversation_commands),
        contacts: contacts.clone(),
        lines: Arc::clone(&directory),
        sent: Arc::new(PgSentMessages { pool: pool.clone() }),
        templates: Arc::new(TemplateHearing { commands: Arc::clone(&template_commands), clock: Arc::clone(&clock) }),
        opt_outs: Arc::new(PgOptOuts { pool: pool.clone() }),
        stops: lines.clone(),
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
    let appointments = Appointments {
        commands: Arc::clone(&appointment_commands),
        contacts: contacts.clone(),
        reader: Arc::new(PgAppointmentReader { pool: pool.clone() }),
        past: past.clone(),
        catch_up: catch_up.clone(),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
    };
    let conversations = Arc::new(Conversations {
        commands: Arc::clone(&conversation_commands),
        reader: Arc::new(PgConversationReader { pool: pool.clone() }),
        past: past.clone(),
        catch_up: catch_up.clone(),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
        pause: Arc::new(Sleep),
    });
    let template_accounts = Arc::new(PgTemplateAccounts::new(pool.clone(), *node));
    let group_reader = Arc::new(PgTemplateGroupReader { pool: pool.clone() });
    let templates = Arc::new(Templates {
        commands: Arc::clone(&template_commands),
        reader: template_reader.clone(),
        groups: group_reader.clone(),
        provider: Arc::new(GraphTemplates::new(
            &config.meta.graph_url,
            &config.meta.graph_version,
            config.meta.app_id.clone(),
            Arc::clone(&template_accounts),
        )),
        accounts: lines.clone(),
        allowance: template_accounts.clone(),
        gate: template_accounts,
        past: past.clone(),
        catch_up: catch_up.clone(),
        clock: Arc::clone(&clock),
    });
    let template_groups = Arc::new(TemplateGroups {
        commands: group_commands,
        reader: group_reader,
        templates: template_reader.clone(),
        catalogue: Arc::clone(&templates),
        lines: lines.clone(),
        past: past.clone(),
        catch_up: catch_up.clone(),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
    });
    let bulk_sends = Arc::new(BulkSends {
        store: Arc::new(PgBulkSends { pool: pool.clone() }),
        templates: chooser,
        lines: Arc::clone(&directory),
        library: Arc::clone(&library),
        ids: Arc::clone(&ids),
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
        appointments: appointment_commands,
        data: Arc::new(PgPersonalData { pool: pool.clone(), projections: projections(&keys) }),
        catch_up: catch_up.clone(),
        clock: Arc::clone(&clock),
    };
    let monitoring = Monitoring {
        deliveries: Arc::new(PgDeliveries { pool: pool.clone(), keys: Arc::clone(&keys) }),
        log: Arc::new(PgQueueLog { pool: pool.clone() }),
        commands: Arc::clone(&conversation_commands),
        stops: lines.clone(),
        catch_up: catch_up.clone(),
        clock: Arc::clone(&clock),
    };
    let template_care = care::templates(pool, &templates, &template_groups, &lines, &clock, &ids);
    let outbound_status = OutboundStatuses {
        reader: Arc::new(PgDeliveries { pool: pool.clone(), keys: Arc::clone(&keys) }),
        sent: Arc::new(PgSentMessages { pool: pool.clone() }),
        pause: Arc::new(Sleep),
    };
    let limit_keys = LimitKeys::new(key);
    let app = App {
        verification: Verification {
            store: verifications.clone(),
            codes: Arc::new(codes),
            passwords: Arc::new(Argon2Passwords),
            mails: mailer.is_some(),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
        },
        preferences: Arc::new(PgPreferences { pool: pool.clone(), sessions: Arc::clone(&sessions) }),
        erasure,
        people,
        entries: Entries { reader: Arc::new(PgAuditEntries { pool: pool.clone() }) },
        monitoring,
        proofs: Arc::new(proofs),
        identity: Identity {
            users: users.clone(),
            clients: Arc::new(PgApiClients::new(pool.clone(), Arc::clone(&sessions))),
            sessions,
            passwords: Arc::new(Argon2Passwords),
            tokens: Arc::new(JwtTokens { keys: Arc::clone(&signing_keys), clock: Arc::clone(&clock) }),
            keys: Arc::new(HashedApiKeys),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
        },
        social: social(pool, config, &clock),
        signing_keys,
        clock: Arc::clone(&clock),
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
            catch_up: catch_up.clone(),
            clock,
            ids,
        },
        triggers: Triggers {
            decisions: Arc::clone(&decisions),
            conversations: Arc::clone(&conversations),
            leads: Arc::clone(&leads),
            contacts: contacts.clone(),
            lines: directory,
        },
        conversations,
        leads,
        appointments,
        templates,
        template_groups,
        template_care,
        outbound_status,
        bulk_sends,
        history: History { reader: Arc::new(PgHistory { pool: pool.clone(), keys: Arc::clone(&keys) }) },
        past: TimeTravel {
            conversations: past.clone(),
            flows: past.clone(),
            leads: past.clone(),
            appointments: past.clone(),
            templates: past,
            template_names: template_reader,
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
        site: Site::new(&config.public_url),
    };
    Adapters {
        app,
        keys,
        pokes,
        handoff,
        checkpoints,
        journal_grown,
        inbound,
        decisions,
        conversation_commands,
        template_commands,
        contacts,
        catch_up,
        lines,
        users,
        sealer,
        verifications,
    }
}

/// Signing in with Google and Facebook.
fn social(pool: &PgPool, config: &Config, clock: &Arc<dyn Clock>) -> SocialSignIn {
    let settings = SocialSettings {
        google_url: config.social.google_url.clone(),
        google_client_id: config.social.google_client_id.clone(),
        facebook_url: config.social.facebook_url.clone(),
        graph_url: format!("{}/{}", config.meta.graph_url, config.meta.graph_version),
        facebook_app_id: config.meta.app_id.clone(),
        facebook_app_secret: config.meta.app_secret.as_ref().map(|it| it.expose().clone()),
    };
    let providers = HttpSocialProviders::new(http_client::client(PROVIDERS_MAX), settings, Arc::clone(clock));
    SocialSignIn { providers: Arc::new(providers), identities: Arc::new(PgSocialIdentities { pool: pool.clone() }) }
}
