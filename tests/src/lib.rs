//! What the tests stand on: one PostgreSQL a run, a database a test, the real process in this one, real HTTP.

pub mod app;
pub mod cable;
pub mod cluster;
pub mod detour;
pub mod flows;
pub mod graph;
pub mod mail;
pub mod past;
pub mod people;
pub mod templates;
pub mod webhook;

/// The master key of every test, in base64.
pub const SECRET_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The keys of contacts in a database, under the master key of every test.
pub fn keys(pool: &sqlx::PgPool) -> std::sync::Arc<infrastructure::event_store::keys::KeyRing> {
    let master: [u8; 32] = std::array::from_fn(|n| n as u8);
    let master = infrastructure::security::secret_box::SecretBox::new(&master);
    std::sync::Arc::new(infrastructure::event_store::keys::KeyRing::new(pool.clone(), master))
}
