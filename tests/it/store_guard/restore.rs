//! What `pg_dump` and `pg_restore` do with the data: every row of every table, and where sequences stand.

use futures::TryStreamExt;
use sqlx::postgres::PgPoolCopyExt;
use sqlx::{Executor, PgPool};

/// Copies a database into another one that has the same schema. Triggers do not fire, as in a restore.
pub async fn copy(from: &PgPool, to: &PgPool) {
    let tables: Vec<String> = sqlx::query_scalar(
        "select tablename::text from pg_tables where schemaname = 'public' and tablename <> '_sqlx_migrations' order by 1",
    )
    .fetch_all(from)
    .await
    .expect("tables");
    let mut target = to.acquire().await.expect("a connection");
    target.execute("set session_replication_role = replica").await.expect("a superuser");
    target.execute(format!("truncate {} cascade", tables.join(", ")).as_str()).await.expect("empty tables");
    for table in &tables {
        let mut rows = from.copy_out_raw(&format!("copy {table} to stdout")).await.expect("rows");
        let mut sink = target.copy_in_raw(&format!("copy {table} from stdin")).await.expect("a way in");
        while let Some(chunk) = rows.try_next().await.expect("rows") {
            sink.send(chunk).await.expect("rows go in");
        }
        sink.finish().await.expect("rows are in");
    }
    let sequences: Vec<(String, i64)> =
        sqlx::query_as("select sequencename::text, last_value from pg_sequences where last_value is not null")
            .fetch_all(from)
            .await
            .expect("sequences");
    for (name, value) in sequences {
        let set = sqlx::query("select setval($1::regclass, $2)").bind(name).bind(value);
        set.execute(&mut *target).await.expect("a sequence");
    }
    target.close().await.expect("an end");
}

/// Spends transactions until the one cluster is further than the other.
pub async fn ahead_of(one: &PgPool, other: &PgPool) {
    let next = async |pool: &PgPool| -> i64 {
        let next = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
        sqlx::query_scalar(next).fetch_one(pool).await.expect("a snapshot")
    };
    while next(one).await < next(other).await + 1_000 {
        let spend = "do $$ begin for n in 1..2000 loop perform pg_current_xact_id(); commit; end loop; end $$";
        sqlx::raw_sql(spend).execute(one).await.expect("transactions");
    }
}
