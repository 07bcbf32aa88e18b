//! A cable between the product and PostgreSQL that a test can cut and mend.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::TestDatabase;

/// The socket's name below its folder, as libpq and sqlx build it.
const SOCKET: &str = ".s.PGSQL.5432";

/// A way to a database that can break.
pub struct Cable {
    /// How to connect through it.
    pub options: PgConnectOptions,
    folder: PathBuf,
    state: State,
    listener: JoinHandle<()>,
}

#[derive(Clone)]
struct State {
    whole: watch::Sender<bool>,
    bytes_left: Arc<AtomicI64>,
}

impl Cable {
    /// A whole cable to a database.
    pub fn to(database: &TestDatabase) -> Self {
        let server = database.options.get_socket().expect("the cluster listens on a socket").join(SOCKET);
        let folder = std::env::temp_dir().join(format!("fb-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).expect("a folder for the socket");
        let listener = UnixListener::bind(folder.join(SOCKET)).expect("a socket");
        let state = State { whole: watch::Sender::new(true), bytes_left: Arc::new(AtomicI64::new(i64::MAX)) };
        let task = tokio::spawn(accept(listener, server, state.clone()));
        Self { options: database.options.clone().socket(&folder), folder, state, listener: task }
    }

    /// Cuts every connection; new ones are refused.
    pub fn cut(&self) {
        self.state.whole.send_replace(false);
    }

    /// Cuts it once the server has sent this many more bytes.
    pub fn cut_after(&self, bytes: i64) {
        self.state.bytes_left.store(bytes, Ordering::SeqCst);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.state.bytes_left.store(i64::MAX, Ordering::SeqCst);
        self.state.whole.send_replace(true);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.listener.abort();
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

async fn accept(listener: UnixListener, server: PathBuf, state: State) {
    while let Ok((client, _)) = listener.accept().await {
        if *state.whole.borrow()
            && let Ok(server) = UnixStream::connect(&server).await
        {
            tokio::spawn(carry(client, server, state.clone()));
        }
    }
}

async fn carry(client: UnixStream, server: UnixStream, state: State) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut whole = state.whole.subscribe();
    let answers = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = from_server.read(&mut buffer).await.unwrap_or_default();
            let left = state.bytes_left.fetch_sub(read as i64, Ordering::SeqCst) - read as i64;
            if left < 0 {
                state.whole.send_replace(false);
            }
            if read == 0 || left < 0 || to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = answers => {}
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        _ = whole.wait_for(|whole| !whole) => {}
    }
}
