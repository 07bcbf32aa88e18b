//! The private server for real: initdb, two shares, a restart, and a pid file left by a crash.

use std::os::unix::fs::{DirBuilderExt, chown};

use super::server_user::ServerUser;
use super::*;

fn data_dir() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("flowbot test {}", uuid::Uuid::new_v4().simple()));
    fs::DirBuilder::new().mode(0o755).create(&dir).unwrap();
    dir
}

async fn fast(data_dir: &Path) -> EmbeddedPostgres {
    start_with(data_dir, Settings { fast: true }, |_| {}).await.unwrap()
}

async fn rows(postgres: &EmbeddedPostgres) -> i64 {
    let mut connection = postgres.connect_options(DATABASE).connect().await.unwrap();
    sqlx::query_scalar("select count(*) from kept").fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn processes_share_one_server_and_the_data_outlive_it() {
    let data_dir = data_dir();
    let (one, other) = tokio::join!(fast(&data_dir), fast(&data_dir));
    let mut connection = one.connect_options(DATABASE).connect().await.unwrap();
    sqlx::query("create table kept as select generate_series(1, 3) as n").execute(&mut connection).await.unwrap();
    let by_url: PgConnectOptions = one.url().parse().unwrap();
    by_url.connect().await.unwrap().close().await.unwrap();

    assert!(!one.stop().await.unwrap(), "the other one still uses it");
    assert_eq!(rows(&other).await, 3);
    assert!(other.stop().await.unwrap(), "nobody is left");

    // What a machine's crash leaves: a pid file whose number now belongs to another process of the same user.
    let data = data_dir.join("postgres/data");
    let owner = ServerUser::for_cluster(&data).unwrap();
    let mut stranger = owner.command(Path::new("sleep")).arg("60").spawn().unwrap();
    let pid_file = data.join("postmaster.pid");
    fs::write(&pid_file, format!("{}\n{}\n1\n5432\n/nowhere\n\n\nready\n", stranger.id(), data.display())).unwrap();
    chown(&pid_file, Some(owner.uid), None).unwrap();

    let again = fast(&data_dir).await;
    assert_eq!(rows(&again).await, 3);
    drop(again); // as a killed process would leave it
    let joined = fast(&data_dir).await;
    assert_eq!(rows(&joined).await, 3);
    assert!(joined.stop_and_remove().await.unwrap());
    assert!(!data_dir.join("postgres").exists());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    fs::remove_dir_all(data_dir).unwrap();
}

async fn killed_and_back(postgres: &EmbeddedPostgres, data_dir: &Path) {
    let pid_file = fs::read_to_string(data_dir.join("postgres/data/postmaster.pid")).unwrap();
    let killed = std::process::Command::new("kill").args(["-9", pid_file.lines().next().unwrap()]).status().unwrap();
    assert!(killed.success());
    let back = async {
        while postgres.connect_options(DATABASE).connect().await.is_err() {
            sleep(READY_PAUSE).await;
        }
    };
    tokio::select! {
        () = postgres.watch() => unreachable!("it watches until it is dropped"),
        ended = tokio::time::timeout(READY_WITHIN, back) => ended.expect("the server should be back"),
    }
}

#[tokio::test]
async fn a_server_that_was_killed_is_started_again() {
    let data_dir = data_dir();
    let postgres = fast(&data_dir).await;
    let mut connection = postgres.connect_options(DATABASE).connect().await.unwrap();
    sqlx::query("create table kept as select generate_series(1, 3) as n").execute(&mut connection).await.unwrap();
    sqlx::query("checkpoint").execute(&mut connection).await.unwrap();
    killed_and_back(&postgres, &data_dir).await;
    assert_eq!(rows(&postgres).await, 3);
    assert!(postgres.stop_and_remove().await.unwrap());
    fs::remove_dir_all(data_dir).unwrap();
}

#[test]
fn paths_are_written_into_urls_safely() {
    assert_eq!(percent_encoded(Path::new("/a b/ü?&=%")), "/a%20b/%C3%BC%3F%26%3D%25");
}

#[tokio::test]
async fn nobody_waits_for_the_first_segments_of_a_write_ahead_log_and_a_kill_among_them_loses_nothing() {
    let data_dir = data_dir();
    let postgres = start(&data_dir, |_| {}).await.unwrap();
    let segments = || {
        let names = fs::read_dir(data_dir.join("postgres/data/pg_wal")).unwrap();
        names.filter(|it| it.as_ref().unwrap().file_name().len() == 24).count()
    };
    let made = segments();
    let mut connection = postgres.connect_options(DATABASE).connect().await.unwrap();
    let written = "select pg_logical_emit_message(true, 'filler', repeat('x', 1000000)) from generate_series(1, 100)";
    sqlx::query(written).execute(&mut connection).await.unwrap();
    sqlx::query("create table kept as select generate_series(1, 3) as n").execute(&mut connection).await.unwrap();
    assert_eq!(segments(), made, "none had to be made for 100 MB");

    killed_and_back(&postgres, &data_dir).await;
    assert_eq!(rows(&postgres).await, 3);
    assert!(postgres.stop_and_remove().await.unwrap());
    fs::remove_dir_all(data_dir).unwrap();
}

#[test]
fn a_segment_that_is_there_is_left_as_it_is() {
    let data_dir = data_dir();
    let user = ServerUser::for_cluster(&data_dir).unwrap();
    let folder = data_dir.join("pg_wal");
    assert!(write_ahead::fill(&data_dir, &user).is_err(), "there is no folder");
    fs::create_dir(&folder).unwrap();
    let there = folder.join("000000010000000000000002");
    fs::write(&there, "as it was").unwrap();
    write_ahead::fill(&data_dir, &user).unwrap();
    assert_eq!(fs::read_to_string(&there).unwrap(), "as it was");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), usize::from(write_ahead::SEGMENTS) - 1);
    fs::remove_dir_all(data_dir).unwrap();
}
