//! Accounts made through the front door: drivers with money, and the first operator.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Result;
use crate::graphql::{Auth, Client};
use crate::stack::Stack;

/// A logged-in account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// Its address, unique to it.
    pub email: String,
    /// What it sends as `Authorization`.
    pub token: String,
    /// What it renews that with.
    pub refresh_token: String,
    /// GraphQL in its name.
    pub client: Client,
}

/// What everybody's password is.
pub const PASSWORD: &str = "correct horse battery staple";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    access_token: String,
    refresh_token: String,
    user: User,
}

#[derive(Deserialize)]
struct User {
    id: String,
}

const TOKENS: &str = "accessToken expiresIn refreshToken user { id }";

impl Account {
    /// Registers a new driver.
    pub async fn driver(stack: &Stack, name: &str) -> Result<Self> {
        let email =
            format!("{}-{}@example.com", name.to_lowercase().replace(' ', "."), Uuid::new_v4().simple());
        let input = json!({
            "email": email,
            "name": name,
            "password": PASSWORD,
            "vehicle": { "brand": "Tesla", "model": "Model 3", "batteryCapacity": 75.0 },
        });
        let query = format!("mutation($input: RegisterInput!) {{ register(input: $input) {{ {TOKENS} }} }}");
        Self::from_tokens(stack, email, stack.public().field(&query, json!({ "input": input })).await?)
    }

    /// Logs in again.
    pub async fn login(stack: &Stack, email: &str) -> Result<Self> {
        let query = format!("mutation($input: LoginInput!) {{ login(input: $input) {{ {TOKENS} }} }}");
        let input = json!({ "email": email, "password": PASSWORD });
        Self::from_tokens(
            stack,
            email.to_owned(),
            stack.public().field(&query, json!({ "input": input })).await?,
        )
    }

    /// Registers an account, has an administrator make it an operator, and logs in as that.
    pub async fn operator(stack: &Stack) -> Result<Self> {
        let account = Self::driver(stack, "Olga Operator").await?;
        let grant = json!({ "email": account.email, "role": "OPERATOR", "reason": "set up by the test" });
        stack.invoke("grant-role", &grant).await?;
        Self::login(stack, &account.email).await
    }

    /// Puts money into `driver`'s wallet, as an operator.
    pub async fn credit(&self, driver: &Self, amount: &str) -> Result<Value> {
        let query = "mutation($input: CreditWalletInput!) { creditWallet(input: $input) { id balance { amount currency } } }";
        let input = json!({
            "userId": driver.id,
            "amount": amount,
            "currency": "EUR",
            "reason": "welcome",
            "idempotencyKey": Uuid::new_v4(),
        });
        self.client.field(query, json!({ "input": input })).await
    }

    fn from_tokens(stack: &Stack, email: String, tokens: Tokens) -> Result<Self> {
        let client = Client::new(&stack.graphql_url, Auth::Token(tokens.access_token.clone()));
        Ok(Self {
            id: tokens.user.id,
            email,
            token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            client,
        })
    }
}
