//! Puts the rooms together. The only place that names concrete adapters.

pub mod adapters;
pub mod care;
pub mod database;
pub mod health;
pub mod listener;
pub mod logging;
pub mod mail;
pub mod server;
pub mod workers;

use infrastructure::security::master_key::load_or_create_secret_key;
use infrastructure::security::secret_box::SecretBox;

use crate::config::Config;

/// The master key: the one that is configured, else the data directory's own.
///
/// # Errors
/// The data directory's key cannot be read or made.
pub fn master_key(config: &Config) -> anyhow::Result<[u8; 32]> {
    match &config.secret_key {
        Some(key) => Ok(*key.expose()),
        None => load_or_create_secret_key(&config.data_dir),
    }
}

/// What seals under the master key, and opens what the former one sealed while a rotation is under way.
pub fn secret_box(config: &Config, master: &[u8; 32]) -> SecretBox {
    let present = SecretBox::new(master);
    match &config.former_secret_key {
        Some(former) => present.with_former(former.expose()),
        None => present,
    }
}
