//! Signing in with Google or Facebook: their word for who somebody is, checked, and the account that goes with it.
//! An account is found by the provider's own id of the person alone, never by an e-mail address.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::UserId;

use crate::actor::Session;
use crate::error::{AppError, AppResult};
use crate::identity::sessions::{IDLE_MAX, Origin, Proof, SessionKind};
use crate::identity::users::{NewUser, UserView, check_username};
use crate::identity::{Identity, Issued};

/// Whose word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Google.
    Google,
    /// Facebook.
    Facebook,
}

impl Provider {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Facebook => "facebook",
        }
    }
}

/// What the provider gave the person to show.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A signed statement about them (OpenID Connect).
    IdToken(String),
    /// A token the provider has to be asked about.
    AccessToken(String),
}

/// What the provider says of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Who vouches.
    pub provider: Provider,
    /// The provider's id of them.
    pub subject: String,
    /// Their e-mail address, when the provider vouches for it.
    pub email: Option<String>,
    /// What they are called.
    pub name: Option<String>,
}

/// The providers.
#[async_trait]
pub trait SocialProviders: Send + Sync {
    /// Who shows this: 401 when the provider did not give it to us, 409 when it is not set up here.
    async fn verify(&self, provider: Provider, credential: &Credential) -> AppResult<Profile>;
}

/// Whom people are to providers; every change with an audit entry in the same transaction.
#[async_trait]
pub trait SocialIdentities: Send + Sync {
    /// The person this is.
    async fn find(&self, profile: &Profile) -> AppResult<Option<UserId>>;
    /// Makes the person with an account of their own, under another name where somebody has this one; none when
    /// somebody just did. Conflict `account_exists` when another account proved the e-mail address; who only named it
    /// keeps what they have, and can prove it no more.
    async fn join(
        &self,
        id: UserId,
        new: &NewUser,
        password_hash: &str,
        profile: &Profile,
        at: DateTime<Utc>,
    ) -> AppResult<Option<UserView>>;
    /// Lets somebody sign in with it from now on. Conflict `social_taken` when somebody else does.
    async fn link(&self, session: &Session, profile: &Profile, at: DateTime<Utc>) -> AppResult<()>;
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Signed in.
    SignedIn(Issued),
    /// Was signed in, and may sign in with it from now on.
    Linked(UserView),
}

/// Signs people in with their providers' word.
pub struct SocialSignIn {
    /// The providers.
    pub providers: Arc<dyn SocialProviders>,
    /// Whom people are to them.
    pub identities: Arc<dyn SocialIdentities>,
}

impl SocialSignIn {
    /// Signs somebody in, making their account the first time; or, for who is signed in, links the two.
    ///
    /// # Errors
    /// The provider's word is not good, there is an account that proved the same e-mail address and is not linked, or
    /// the one to link has not proved its own.
    pub async fn sign_in(
        &self,
        identity: &Identity,
        signed_in: Option<(&Session, SessionKind)>,
        provider: Provider,
        credential: &Credential,
        origin: Origin,
    ) -> AppResult<Outcome> {
        if signed_in.is_some_and(|(_, kind)| kind == SessionKind::Api) {
            return Err(AppError::Forbidden("an API client may not do this: sign in as a person".into()));
        }
        if signed_in.is_some_and(|(session, _)| !session.access.verified) {
            return Err(AppError::Unverified);
        }
        let profile = self.providers.verify(provider, credential).await?;
        if let Some((session, _)) = signed_in {
            self.identities.link(session, &profile, identity.clock.now()).await?;
            return Ok(Outcome::Linked(identity.me(session).await?));
        }
        let user = match self.known(identity, &profile).await? {
            Some(user) => user,
            None => self.join(identity, &profile).await?,
        };
        Ok(Outcome::SignedIn(identity.issue(user, Proof::Other, IDLE_MAX, origin).await?))
    }

    async fn known(&self, identity: &Identity, profile: &Profile) -> AppResult<Option<UserView>> {
        match self.identities.find(profile).await? {
            Some(id) => identity.users.get(id).await,
            None => Ok(None),
        }
    }

    async fn join(&self, identity: &Identity, profile: &Profile) -> AppResult<UserView> {
        let new = newcomer(profile, identity.keys.make()?.key)?;
        let hash = identity.passwords.hash(new.password.clone()).await?;
        let id = UserId(identity.ids.new_id());
        match self.identities.join(id, &new, &hash, profile, identity.clock.now()).await? {
            Some(user) => Ok(user),
            // The same person, twice at once.
            None => self.known(identity, profile).await?.ok_or(AppError::NotFound("user")),
        }
    }
}

/// An account for somebody who comes for the first time, with a password nobody knows.
fn newcomer(profile: &Profile, password: String) -> AppResult<NewUser> {
    let unvouched = || AppError::Forbidden(format!("{} vouches for no e-mail address", profile.provider.as_str()));
    let email = profile.email.clone().ok_or_else(unvouched)?;
    let named = profile.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let username = match check_username(&email) {
        Ok(()) => email.clone(),
        Err(_) => format!("{}-{}", profile.provider.as_str(), profile.subject),
    };
    let display_name = named.unwrap_or(&email).chars().take(200).collect();
    let new = NewUser { username, password, email, display_name, admin: false };
    new.check()?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(email: Option<&str>, name: Option<&str>) -> Profile {
        let (email, name) = (email.map(str::to_owned), name.map(str::to_owned));
        Profile { provider: Provider::Google, subject: "117".into(), email, name }
    }

    #[test]
    fn a_newcomer_is_called_as_the_provider_says() {
        let new = newcomer(&profile(Some("dana@example.com"), Some(" Dana ")), "p".repeat(40)).unwrap();
        assert_eq!((new.username.as_str(), new.display_name.as_str(), new.admin), ("dana@example.com", "Dana", false));
        let long = format!("{}@example.com", "d".repeat(100));
        let new = newcomer(&profile(Some(&long), None), "p".repeat(40)).unwrap();
        assert_eq!((new.username.as_str(), new.display_name.as_str()), ("google-117", long.as_str()));
    }

    #[test]
    fn nobody_joins_with_an_address_nobody_vouches_for() {
        let refused = newcomer(&profile(None, Some("Dana")), "p".repeat(40));
        assert!(matches!(refused, Err(AppError::Forbidden(_))));
    }
}
