//! Live projections take their turns together: those that stand at the same place, as they nearly always do, read the
//! log once and commit together.

use std::sync::Arc;

use application::log::Position;
use sqlx::{PgConnection, PgPool};

use crate::event_store::append::is_unavailable;
use crate::event_store::generations::{self, Held};
use crate::event_store::keys::KeyRing;
use crate::event_store::projector::{BATCH_MAX, Projection, Stretch, TURN, Turn};

/// The live generations of projections.
pub struct LiveProjections {
    /// The projections.
    pub projections: Vec<Arc<dyn Projection>>,
    /// What opens their events.
    pub keys: Arc<KeyRing>,
    /// The database.
    pub pool: PgPool,
}

/// What a turn came to, by projection; those that somebody else runs, or that are halted, are not in it.
pub type Taken = Vec<(&'static str, Turn)>;

impl LiveProjections {
    /// One turn of all. When it fails for one of them, each takes its own: whoever spoils it does so for itself.
    ///
    /// # Errors
    /// The database; nothing of the turn remains.
    pub async fn turn(&self) -> Result<Taken, sqlx::Error> {
        match self.together().await {
            Err(error) if !is_unavailable(&error) => {
                tracing::warn!(%error, "Projections take their turns one by one");
                Ok(self.apart().await)
            }
            taken => taken,
        }
    }

    async fn together(&self) -> Result<Taken, sqlx::Error> {
        let names: Vec<&str> = self.projections.iter().map(|projection| projection.name()).collect();
        let mut transaction = self.pool.begin_with(TURN).await?;
        let mut left = generations::lock_live(&mut transaction, &names).await?;
        let (mut taken, mut steps) = (Taken::new(), Vec::new());
        while let Some(place) = left.first().map(|held| held.position) {
            let (here, elsewhere) = left.into_iter().partition(|held| held.position == place);
            left = elsewhere;
            let here = self.of(here);
            let stretch = self.stretch(&mut transaction, place, &here).await?;
            let read = stretch.events.len();
            for (projection, held) in here {
                let turn = if read == 0 {
                    Turn::Advanced { events: 0, position: place }
                } else {
                    let step = projection.take_in(&mut transaction, &held, &stretch).await?;
                    steps.push(step.clone());
                    step.turn(read)
                };
                taken.push((projection.name(), turn));
            }
        }
        if !steps.is_empty() {
            generations::go(&mut transaction, &steps).await?;
            transaction.commit().await?;
        }
        Ok(taken)
    }

    fn of(&self, held: Vec<Held>) -> Vec<(&dyn Projection, Held)> {
        let projection = |held: &Held| self.projections.iter().find(|it| it.name() == held.name);
        held.into_iter().filter_map(|held| Some((&**projection(&held)?, held))).collect()
    }

    async fn stretch(
        &self,
        connection: &mut PgConnection,
        after: Position,
        of: &[(&dyn Projection, Held)],
    ) -> Result<Stretch, sqlx::Error> {
        let aggregates: Vec<&str> = of.iter().map(|(projection, _)| projection.aggregate()).collect();
        Stretch::read(connection, &self.keys, (after, None), BATCH_MAX, &aggregates).await
    }

    async fn apart(&self) -> Taken {
        let mut taken = Taken::new();
        for projection in &self.projections {
            match projection.turn(&self.pool).await {
                Ok(turn) => taken.push((projection.name(), turn)),
                Err(error) => {
                    tracing::warn!(projection = projection.name(), %error, "A projection could not take its turn");
                }
            }
        }
        taken
    }
}
