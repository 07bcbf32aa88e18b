//! One private PostgreSQL for the whole run; each test gets a database made from a migrated template.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use infrastructure::embedded_postgres::{self, EmbeddedPostgres, Settings};
use infrastructure::postgres::{migrations, pool};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;

/// What the sessions of the tests are called, beside those of the product.
const TESTS: &str = "tests";

struct Cluster {
    server: EmbeddedPostgres,
    run: u128,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static ELSEWHERE: OnceCell<Cluster> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);
/// The server of the benchmarks is being watched.
static WATCHED: AtomicBool = AtomicBool::new(false);

async fn cluster() -> &'static Cluster {
    CLUSTER.get_or_init(|| async { start("flowbot-test-cluster").await.expect("the tests need a PostgreSQL") }).await
}

async fn start(folder: &str) -> anyhow::Result<Cluster> {
    // One folder for all runs: initdb costs seconds. Databases of earlier runs are dropped.
    let folder = std::env::temp_dir().join(folder);
    std::fs::create_dir_all(&folder)?;
    let server = embedded_postgres::start_with(&folder, Settings { fast: true }, |line| eprintln!("{line}")).await?;
    let run = uuid::Uuid::now_v7().as_u128();
    let cluster = Cluster { server, run };
    let mut admin = PgConnection::connect_with(&cluster.server.connect_options("postgres")).await?;
    drop_leftovers(&mut admin).await?;
    let template = cluster.template();
    sqlx::query(&format!("create database {template}")).execute(&mut admin).await?;
    let pool = pool::connect(cluster.server.connect_options(&template), TESTS, 1).await?;
    migrations::migrate(&pool).await?;
    pool.close().await;
    Ok(cluster)
}

/// Databases nobody is connected to; another run beside this one keeps its own.
async fn drop_leftovers(admin: &mut PgConnection) -> sqlx::Result<()> {
    let leftovers: Vec<String> = sqlx::query_scalar(
        "select datname::text from pg_database d where datname like 'flowbot\\_%' and datname <> 'flowbot'
            and not exists (select from pg_stat_activity a where a.datname = d.datname)
            and coalesce((pg_stat_file('base/' || oid || '/PG_VERSION', true)).modification, now()) < now() - interval '1 hour'",
    )
    .fetch_all(&mut *admin)
    .await?;
    for name in leftovers {
        sqlx::query(&format!("drop database if exists {name}")).execute(&mut *admin).await?;
        drop(std::fs::remove_dir_all(data_dir(&name)));
    }
    Ok(())
}

impl Cluster {
    fn socket(&self) -> Option<std::path::PathBuf> {
        self.server.connect_options("postgres").get_socket().cloned()
    }

    fn template(&self) -> String {
        format!("flowbot_template_{:x}", self.run)
    }
}

fn data_dir(database: &str) -> std::path::PathBuf {
    std::env::temp_dir().join("flowbot-test-data").join(database)
}

/// A database of one's own.
pub struct TestDatabase {
    /// Its name.
    pub name: String,
    /// How to reach it.
    pub options: PgConnectOptions,
    /// Connections.
    pub pool: PgPool,
}

impl TestDatabase {
    /// A fresh, migrated database.
    pub async fn create() -> Self {
        Self::create_in(cluster().await).await
    }

    /// A fresh, migrated database in another cluster, with transaction ids of its own.
    pub async fn elsewhere() -> Self {
        let start = async || start("flowbot-test-cluster-elsewhere").await.expect("a second PostgreSQL");
        Self::create_in(ELSEWHERE.get_or_init(start).await).await
    }

    async fn create_in(cluster: &Cluster) -> Self {
        let name = format!("flowbot_test_{:x}_{}", cluster.run, DATABASES.fetch_add(1, Ordering::Relaxed));
        let admin = PgConnection::connect_with(&cluster.server.connect_options("postgres")).await;
        let mut admin = admin.expect("the cluster answers");
        let create = format!("create database {name} template {}", cluster.template());
        sqlx::query(&create).execute(&mut admin).await.expect("a database from the template");
        let options = cluster.server.connect_options(&name);
        let pool = pool::connect(options.clone(), TESTS, 16).await.expect("a connection");
        Self { name, options, pool }
    }

    /// A fresh, migrated database on a server of its own that waits for the disk, as in production; for benchmarks.
    pub async fn durable() -> Self {
        let folder = std::env::temp_dir().join("flowbot-bench-cluster");
        std::fs::create_dir_all(&folder).expect("a folder");
        let server = embedded_postgres::start(&folder, |line| eprintln!("{line}")).await.expect("a PostgreSQL");
        let name = format!("flowbot_bench_{:x}", uuid::Uuid::now_v7().as_u128());
        let mut admin = PgConnection::connect_with(&server.connect_options("postgres")).await.expect("a connection");
        sqlx::query(&format!("create database {name}")).execute(&mut admin).await.expect("a database");
        let options = server.connect_options(&name);
        let pool = pool::connect(options.clone(), TESTS, pool::connections_max()).await.expect("a connection");
        migrations::migrate(&pool).await.expect("the schema");
        // For the server it is one process, however many databases it asks for.
        if !WATCHED.swap(true, Ordering::Relaxed) {
            tokio::spawn(async move { server.watch().await });
        }
        Self { name, options, pool }
    }

    /// The same database, for another node.
    pub fn again(&self) -> Self {
        Self { name: self.name.clone(), options: self.options.clone(), pool: self.pool.clone() }
    }

    /// A data directory of its own; nothing is in it at first.
    pub fn data_dir(&self) -> String {
        data_dir(&self.name).display().to_string()
    }

    /// As a URL, for another process.
    pub async fn url(&self) -> String {
        let elsewhere = ELSEWHERE.get().filter(|it| self.options.get_socket() == it.socket().as_ref());
        let server = &elsewhere.unwrap_or(cluster().await).server;
        server.url().replace(&format!("/{}?", embedded_postgres::DATABASE), &format!("/{}?", self.name))
    }
}
