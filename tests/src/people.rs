//! People and API clients of an account, with exactly what a test grants them.

use domain::access::Permission;
use serde_json::{Value, json};

use crate::app::{SignedIn, TestApp};

impl TestApp {
    /// A new employee of an account, with these permissions.
    pub async fn employee(&self, owner: &SignedIn, username: &str, permissions: &[&str]) -> SignedIn {
        let employee = json!({ "username": username, "password": "correct horse", "displayName": username,
                               "email": format!("{username}@example.com"), "permissions": permissions });
        owner.post("/api/employees", &employee).await.ok();
        self.sign_in(username, "correct horse").await
    }

    /// The account's API client, approved, with every scope.
    pub async fn api_client(&self, owner: &SignedIn) -> SignedIn {
        let scopes: Vec<&str> = Permission::SCOPES.iter().map(|scope| scope.as_str()).collect();
        self.client_with(&self.api_credentials(owner, &scopes).await).await
    }

    /// API credentials of the owner's account, approved, with these scopes.
    pub async fn api_credentials(&self, owner: &SignedIn, scopes: &[&str]) -> Value {
        let access = owner.post("/api/settings/api-access", &Value::Null).await.ok();
        let approved = json!({ "apiAccessApproved": true });
        self.admin().await.put(&format!("/api/users/{}", owner.id), &approved).await.ok();
        let scopes: Vec<String> = scopes.iter().map(|it| (*it).to_owned()).collect();
        sqlx::query("update api_clients set scopes = $1 where user_id::text = $2")
            .bind(scopes)
            .bind(&owner.id)
            .execute(&self.database.pool)
            .await
            .expect("scopes");
        json!({ "clientId": access["clientId"], "apiKey": access["apiKey"] })
    }

    /// A client with a token for these credentials.
    pub async fn client_with(&self, credentials: &Value) -> SignedIn {
        let answer = self.call(reqwest::Method::POST, "/api/auth/api-token", Some(credentials), &[]).await.ok();
        let account = answer["clientNumber"].as_str().expect("an account");
        self.bearer(answer["accessToken"].as_str().expect("a token"), account)
    }
}
