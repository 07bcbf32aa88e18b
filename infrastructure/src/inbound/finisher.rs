//! What became of journalled webhooks: done, put off, or parked with the reason; many to a statement.

use std::sync::Arc;

use application::conversations::inbound::Taken;
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

/// Times a webhook is put off because it speaks of what we do not know yet: 1, 2, 4, … s.
const PUT_OFF_MAX: i32 = 6;
/// Webhooks finished by one statement at most.
const BATCH_MAX: usize = 256;

/// A webhook on its way through: it is finished when its last element is.
pub struct Progress {
    id: i64,
    attempts: i32,
    state: Mutex<State>,
    finished: mpsc::Sender<Finished>,
}

struct State {
    left: usize,
    parked: Vec<(Option<Uuid>, String, Value)>,
    not_yet: Option<String>,
}

/// A webhook that is through.
pub struct Finished {
    id: i64,
    attempts: i32,
    parked: Vec<(Option<Uuid>, String, Value)>,
    not_yet: Option<String>,
}

impl Progress {
    /// A webhook with this many elements.
    pub fn new(id: i64, attempts: i32, elements: usize, finished: mpsc::Sender<Finished>) -> Arc<Self> {
        let state = Mutex::new(State { left: elements, parked: Vec::new(), not_yet: None });
        Arc::new(Self { id, attempts, state, finished })
    }

    /// One element is through.
    pub async fn element(&self, taken: Taken) {
        let mut state = self.state.lock().await;
        match taken {
            Taken::Done => {}
            Taken::Parked { tenant, reason, element } => state.parked.push((tenant.map(|it| it.0), reason, element)),
            Taken::NotYet(reason) => state.not_yet = Some(reason),
        }
        state.left = state.left.saturating_sub(1);
        if state.left == 0 {
            let (parked, not_yet) = (std::mem::take(&mut state.parked), state.not_yet.take());
            let finished = Finished { id: self.id, attempts: self.attempts, parked, not_yet };
            // Without a finisher the webhook stays in the journal and is read again after a restart.
            drop(self.finished.send(finished).await);
        }
    }
}

/// Writes what became of webhooks until every sender is gone.
pub async fn run(pool: PgPool, mut finished: mpsc::Receiver<Finished>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while finished.recv_many(&mut batch, BATCH_MAX).await > 0 {
        while let Err(error) = write(&pool, &batch).await {
            tracing::warn!(%error, "Webhooks that are done could not be marked");
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        batch.clear();
    }
}

async fn write(pool: &PgPool, batch: &[Finished]) -> Result<(), sqlx::Error> {
    let (mut ids, mut states, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    let (mut parked_of, mut tenants, mut parked_reasons, mut elements) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for it in batch {
        let put_off = it.not_yet.is_some() && it.attempts < PUT_OFF_MAX;
        let given_up = it.not_yet.is_some() && !put_off;
        ids.push(it.id);
        states.push(if put_off {
            0_i16
        } else if given_up || !it.parked.is_empty() {
            2
        } else {
            1
        });
        reasons.push(it.not_yet.clone().or_else(|| it.parked.first().map(|(_, reason, _)| reason.clone())));
        if !put_off {
            for (tenant, reason, element) in &it.parked {
                parked_of.push(it.id);
                tenants.push(*tenant);
                parked_reasons.push(reason.as_str());
                elements.push(element);
            }
        }
    }
    sqlx::query(
        "with kept as (
            insert into parked_elements (journal_id, tenant_id, reason, element)
            select * from unnest($4::bigint[], $5::uuid[], $6::text[], $7::json[]))
         update webhook_journal j set state = f.state, reason = f.reason,
                attempts = j.attempts + (f.state = 0)::int,
                due_at = case when f.state = 0 then now() + interval '1 second' * (2 ^ j.attempts) else j.due_at end
           from unnest($1::bigint[], $2::smallint[], $3::text[]) as f(id, state, reason) where j.id = f.id",
    )
    .bind(ids)
    .bind(states)
    .bind(reasons)
    .bind(parked_of)
    .bind(tenants)
    .bind(parked_reasons)
    .bind(elements)
    .execute(pool)
    .await?;
    Ok(())
}
