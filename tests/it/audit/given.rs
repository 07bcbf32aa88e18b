//! A log of one's own with a sealer, and somebody who may do anything to the database.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use application::audit::{Head, Range, Verification};
use infrastructure::sealing::sealer::Sealer;
use infrastructure::sealing::verify::verify;
use infrastructure::security::secret_box::SecretBox;
use tests::app::eventually;
use tests::cluster::TestDatabase;
use uuid::Uuid;

pub struct Sealed {
    pub database: TestDatabase,
}

pub fn secrets() -> SecretBox {
    SecretBox::new(&[7; 32])
}

impl Sealed {
    pub async fn empty() -> Self {
        Self { database: TestDatabase::create().await }
    }

    /// Four batches: 1 to 1000, 1001 to 2000, 2001 to 2500, 2501 to 2800.
    pub async fn four_batches() -> Self {
        let log = Self::empty().await;
        // In one transaction: none of it is behind the horizon before all of it is.
        log.append(2_500).await;
        assert_eq!(log.seal().await, 2_500);
        log.append(300).await;
        assert_eq!(log.seal().await, 300);
        log
    }

    pub fn data_dir(&self) -> PathBuf {
        self.database.data_dir().into()
    }

    /// A sealer, as on a node of its own.
    pub fn sealer(&self) -> Sealer {
        Sealer::new(self.database.pool.clone(), secrets(), &self.data_dir())
    }

    /// Seals everything, which other tests' transactions on the cluster may hold up.
    pub async fn seal(&self) -> i64 {
        self.seal_with(&self.sealer()).await
    }

    pub async fn seal_with(&self, sealer: &Sealer) -> i64 {
        let sealed = AtomicI64::new(0);
        eventually("seals", async || {
            sealed.fetch_add(sealer.seal_all().await.expect("seals"), Ordering::Relaxed);
            let rest = "select count(*) from events e where (e.log_epoch, e.transaction_id, e.global_position) > all
                        (select s.log_epoch, s.transaction_id, s.position from seals s order by s.batch desc limit 1)";
            let rest: i64 = sqlx::query_scalar(rest).fetch_one(&self.database.pool).await.expect("a count");
            (rest == 0).then_some(())
        })
        .await;
        sealed.into_inner()
    }

    /// Appends one event each to so many new streams, in one transaction.
    pub async fn append(&self, events: i32) {
        self.run(&format!(
            "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
             select 'lead', '{}/' || gen_random_uuid(), 1, 'lead.captured', '1',
                    json_build_object('type', 'captured', 'name', 'Dona ' || n), json_build_object('actor', 'user')
               from generate_series(1, {events}) n",
            Uuid::nil()
        ))
        .await;
    }

    pub async fn run(&self, statement: &str) {
        sqlx::raw_sql(statement)
            .execute(&self.database.pool)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// Does what only somebody can who owns the database. `{n}` stands for the event with that number.
    pub async fn tamper(&self, statement: &str) {
        let mut text = statement.to_owned();
        while let Some((before, rest)) = text.split_once('{') {
            let (number, after) = rest.split_once('}').expect("a number");
            let number: i64 = number.parse().expect("a number");
            text = format!(
                "{before}(select event_id from events_then order by log_epoch, transaction_id, global_position
                           offset {} limit 1){after}",
                number - 1
            );
        }
        self.run("alter table events disable trigger all").await;
        self.run("alter table seals disable trigger all").await;
        self.run(&text).await;
        self.run("alter table seals enable trigger all").await;
        self.run("alter table events enable trigger all").await;
    }

    /// Remembers the log and its seals as they are.
    pub async fn remember(&self) {
        self.run("create table events_then as select * from events; create table seals_then as select * from seals")
            .await;
    }

    /// Makes the log what it was.
    pub async fn restore(&self) {
        let columns = "aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                       global_position, transaction_id, log_epoch, event_id, recorded_at";
        self.tamper("truncate events; truncate seals").await;
        self.tamper(&format!("insert into events ({columns}) select {columns} from events_then")).await;
        self.tamper("insert into seals select * from seals_then").await;
    }

    pub async fn verify(&self, head: Option<&Head>) -> Verification {
        self.verify_range(Range::default(), head).await
    }

    pub async fn verify_range(&self, range: Range, head: Option<&Head>) -> Verification {
        verify(&self.database.pool, Some(&secrets()), range, head).await.expect("a verification")
    }

    #[track_caller]
    pub fn is_bad(&self, what: &str, verified: &Verification, batch: i64) {
        let found = verified.bad.as_ref().map(|bad| bad.batch);
        assert_eq!(found, Some(batch), "{what}: {:?}", verified.bad);
    }
}
