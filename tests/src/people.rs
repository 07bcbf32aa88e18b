//! People and API clients of an account, with exactly what a test grants them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{SignedIn, TestApp};

impl TestApp {
    /// Somebody who works in the owner's account, signed in; their password is the owner's.
    pub async fn employee(&self, owner: &SignedIn, username: &str, permissions: &[&str]) -> SignedIn {
        let permissions: Vec<String> = permissions.iter().map(|it| (*it).to_owned()).collect();
        sqlx::query(
            "insert into users (id, username, password_hash, email, display_name, role, account_id, permissions)
             select $1, $2, password_hash, $2 || '@example.com', $2, 'employee', id, $3 from users where id::text = $4",
        )
        .bind(Uuid::now_v7())
        .bind(username)
        .bind(permissions)
        .bind(&owner.id)
        .execute(&self.database.pool)
        .await
        .expect("an employee");
        self.sign_in(username, "correct horse").await
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
    pub async fn api_client(&self, credentials: &Value) -> SignedIn {
        let answer = self.call(reqwest::Method::POST, "/api/auth/api-token", Some(credentials), &[]).await.ok();
        let account = answer["clientNumber"].as_str().expect("an account");
        self.bearer(answer["accessToken"].as_str().expect("a token"), account)
    }
}
