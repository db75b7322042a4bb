//! Logins on a real database: one line of refresh tokens each, however many ask, and none left when it is ended.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::{Value, json};
use shared::{Failure, Timestamp, UserId};
use support::{Account, PASSWORD, World, after, arguments, caller, noon, told};

const NEW: &str = "battery staple correct";

impl World {
    async fn change_password(&self, owner: UserId, input: Value) -> Result<Value, Failure> {
        let (request, caller) = (arguments(json!({ "input": input })), caller(Some(owner), noon()));
        let tokens =
            user::change_password(&self.database, &self.cache, &self.issuer, &caller, request).await?;
        Ok(serde_json::to_value(tokens).unwrap())
    }

    async fn logout(&self, token: &str, everywhere: Option<bool>) -> bool {
        self.logout_at(token, everywhere, noon()).await
    }

    async fn logout_at(&self, token: &str, everywhere: Option<bool>, at: Timestamp) -> bool {
        let request = arguments(json!({ "refreshToken": token, "everywhere": everywhere }));
        user::logout(&self.database, &caller(None, at), request).await.unwrap()
    }

    /// Three logins of one account.
    async fn three_logins(&self) -> [Account; 3] {
        let first = self.account("ada").await;
        let again = async || self.login(&first.email, PASSWORD).await.unwrap();
        [first.clone(), again().await, again().await]
    }
}

#[tokio::test]
async fn fifty_racing_refreshes_leave_one_live_child_and_everybody_has_it() {
    let world = World::new().await;
    let ada = world.account("ada").await;
    let racing = (0..50).map(|n| world.refresh(&ada.refresh_token, after(f64::from(n) / 50.0)));
    let answers = join_all(racing).await;
    let children: HashSet<String> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(children.len(), 1);
    assert_eq!(world.live(ada.id, after(1.0)).await, 1);

    // It is good for the next.
    let child = children.into_iter().next().unwrap();
    let grandchild = world.refresh(&child, after(900.0)).await.unwrap();
    assert!(grandchild != child);
    assert_eq!(world.live(ada.id, after(900.0)).await, 1);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_within_ten_seconds_and_later_it_is_a_theft() {
    let world = World::new().await;
    let ada = world.account("ada").await;
    let child = world.refresh(&ada.refresh_token, noon()).await.unwrap();
    assert_eq!(world.refresh(&ada.refresh_token, after(9.9)).await.unwrap(), child);
    assert_eq!(world.live(ada.id, after(9.9)).await, 1);

    // Another login of the account has nothing to do with it.
    let elsewhere = world.login(&ada.email, PASSWORD).await.unwrap();
    let racing = (0..10).map(|_| world.refresh(&ada.refresh_token, after(10.0)));
    for answer in join_all(racing).await {
        assert_eq!(told(answer), "Unauthenticated");
    }
    assert_eq!(world.live(ada.id, after(10.0)).await, 1);
    for token in [&ada.refresh_token, &child] {
        assert_eq!(told(world.refresh(token, after(11.0)).await), "Unauthenticated");
    }
    assert!(world.refresh(&elsewhere.refresh_token, after(11.0)).await.is_ok());
    let noted = format!(
        "SELECT count(*) FROM audit_log WHERE action = 'REFRESH_TOKEN_REUSED' AND subject = '{}'",
        ada.id
    );
    assert_eq!(world.count(&noted).await, 1);
}

#[tokio::test]
async fn a_token_whose_answer_was_used_is_in_two_hands_at_once() {
    let world = World::new().await;
    let ada = world.account("ada").await;
    let child = world.refresh(&ada.refresh_token, noon()).await.unwrap();
    let grandchild = world.refresh(&child, after(1.0)).await.unwrap();
    assert_eq!(world.refresh(&child, after(2.0)).await.unwrap(), grandchild);
    assert_eq!(told(world.refresh(&ada.refresh_token, after(3.0)).await), "Unauthenticated");
    assert_eq!(world.live(ada.id, after(3.0)).await, 0);
    assert_eq!(told(world.refresh(&grandchild, after(4.0)).await), "Unauthenticated");
}

#[tokio::test]
async fn what_is_kept_of_a_line_derives_nothing_but_the_last_answer() {
    let world = World::new().await;
    let ada = world.account("ada").await;
    let mut token = ada.refresh_token.clone();
    for n in 1..=4 {
        token = world.refresh(&token, after(f64::from(n) * 900.0)).await.unwrap();
    }
    let count =
        async |what: &str| world.count(&format!("SELECT count(*) FROM refresh_tokens WHERE {what}")).await;
    assert_eq!((count("used_at IS NOT NULL").await, count("seed IS NOT NULL").await), (4, 1));
    // Thirty days after its last use a login is over, and what is kept of it goes with the next.
    let a_month_later = after(31.0 * 24.0 * 3600.0);
    assert_eq!(told(world.refresh(&token, a_month_later).await), "Unauthenticated");
    assert_eq!(world.live(ada.id, a_month_later).await, 0);
}

#[tokio::test]
async fn logging_out_ends_one_login_or_all_and_twice_is_no_error() {
    let world = World::new().await;
    let [first, second, third] = world.three_logins().await;
    let stranger = world.account("eve").await;
    let is_live = async |account: &Account| world.refresh(&account.refresh_token, after(1.0)).await.is_ok();

    assert!(world.logout(&first.refresh_token, None).await);
    assert!(world.logout(&first.refresh_token, Some(false)).await);
    assert!(world.logout("unknown", Some(true)).await);
    assert!(!is_live(&first).await);
    assert_eq!(world.live(first.id, noon()).await, 2);

    // The token of an answer that got lost ends what came of it, too.
    assert!(is_live(&second).await);
    assert!(world.logout(&second.refresh_token, None).await);
    assert_eq!(world.live(first.id, noon()).await, 1);

    assert!(world.logout(&third.refresh_token, Some(true)).await);
    assert!(!is_live(&third).await);
    assert!(is_live(&stranger).await);
}

#[tokio::test]
async fn a_token_that_is_good_for_nothing_ends_nothing() {
    let world = World::new().await;
    let [first, second, third] = world.three_logins().await;
    assert!(world.logout(&first.refresh_token, None).await);
    for everywhere in [None, Some(true)] {
        assert!(world.logout(&first.refresh_token, everywhere).await);
        assert_eq!(world.live(first.id, noon()).await, 2);
    }

    // Whoever comes with a token of a month ago ends no login of today.
    world
        .run(&format!(
            "UPDATE refresh_tokens SET expires_at = '{}' WHERE family_id = (
        SELECT family_id FROM refresh_tokens WHERE revoked_at IS NULL ORDER BY family_id LIMIT 1)",
            after(60.0)
        ))
        .await;
    assert!(world.logout_at(&second.refresh_token, Some(true), after(60.0)).await);
    assert_eq!(world.live(first.id, after(60.0)).await, 1);
    assert!(world.refresh(&third.refresh_token, after(61.0)).await.is_ok());
}

#[tokio::test]
async fn a_child_that_is_just_being_born_is_ended_with_the_rest() {
    let world = World::new().await;
    let ada = world.account("ada").await;
    let beside = world.beside().await;
    beside.batch_execute("BEGIN").await.unwrap();
    let rotate = format!(
        "SELECT rotate_refresh_token(token_hash, 'seed', 'fresh', '{0}', '{0}'::timestamptz + interval '30 days',
                                     gen_random_uuid())
         FROM refresh_tokens WHERE user_id = '{1}'",
        noon(),
        ada.id
    );
    beside.batch_execute(&rotate).await.unwrap();
    let commit = async {
        world.until_one_waits().await;
        beside.batch_execute("COMMIT").await.unwrap();
    };
    tokio::join!(world.logout(&ada.refresh_token, Some(true)), commit);
    assert_eq!(world.live(ada.id, noon()).await, 0);
    assert_eq!(world.count("SELECT count(*) FROM refresh_tokens").await, 2);
}

#[tokio::test]
async fn a_new_password_ends_every_other_login() {
    let world = World::new().await;
    let [first, second, third] = world.three_logins().await;
    let change = json!({ "currentPassword": PASSWORD, "newPassword": NEW });

    let wrong = json!({ "currentPassword": "not the password", "newPassword": NEW });
    assert_eq!(told(world.change_password(first.id, wrong).await), "input.currentPassword");
    for weak in [PASSWORD, "ada@example.com", "aaaaaaaaaaaa"] {
        let weak = json!({ "currentPassword": PASSWORD, "newPassword": weak });
        assert_eq!(told(world.change_password(first.id, weak).await), "input.newPassword");
    }
    assert_eq!(world.live(first.id, noon()).await, 3);

    let tokens = world.change_password(first.id, change.clone()).await.unwrap();
    for old in [&first, &second, &third] {
        assert_eq!(told(world.refresh(&old.refresh_token, after(1.0)).await), "Unauthenticated");
    }
    assert_eq!(world.live(first.id, noon()).await, 1);
    assert!(world.refresh(tokens["refreshToken"].as_str().unwrap(), after(1.0)).await.is_ok());
    assert_eq!(told(world.login(&first.email, PASSWORD).await), "Unauthenticated");
    assert!(world.login(&first.email, NEW).await.is_ok());
    assert_eq!(told(world.change_password(first.id, change).await), "input.currentPassword");
}

#[tokio::test]
async fn of_two_changes_of_one_password_one_is_made() {
    let world = World::new().await;
    let ada = world.account("ada").await;
    let change = async |new: &str| {
        let input = json!({ "currentPassword": PASSWORD, "newPassword": new });
        told(world.change_password(ada.id, input).await)
    };
    let (one, other) = tokio::join!(change(NEW), change("another battery staple"));
    let mut both = [one.as_str(), other.as_str()];
    both.sort_unstable();
    assert_eq!(both, ["done", "input.currentPassword"]);
    assert_eq!(world.live(ada.id, noon()).await, 1);
}

#[tokio::test]
async fn a_login_with_the_old_password_does_not_outlive_its_change() {
    let world = World::new().await;
    let ada = world.account("ada").await;
    let beside = world.beside().await;
    beside.batch_execute("BEGIN").await.unwrap();
    let change = format!("UPDATE users SET password_hash = '-' WHERE id = '{}'", ada.id);
    beside.batch_execute(&change).await.unwrap();
    let commit = async {
        // The old password is found right, and its login is about to begin.
        world.until_one_waits().await;
        beside.batch_execute("COMMIT").await.unwrap();
    };
    let (login, ()) = tokio::join!(world.login(&ada.email, PASSWORD), commit);
    assert_eq!(told(login.map(drop)), "Unauthenticated");
    assert_eq!(world.live(ada.id, noon()).await, 1);
}

#[tokio::test]
async fn whoever_stole_a_token_guesses_no_password_with_it_and_locks_nobody_out() {
    let world = World::new().await;
    let ada = world.account("ada").await;
    let guess = json!({ "currentPassword": "not the password", "newPassword": NEW });
    for _ in 0..10 {
        assert_eq!(told(world.change_password(ada.id, guess.clone()).await), "input.currentPassword");
    }
    assert_eq!(told(world.change_password(ada.id, guess).await), "Limited");
    // From elsewhere the owner logs in as ever.
    let mut at_home = caller(None, noon());
    at_home.source_ip = Some("198.51.100.1".into());
    let request = arguments(json!({ "input": { "email": ada.email, "password": PASSWORD } }));
    assert!(user::login(&world.database, &world.cache, &world.issuer, &at_home, request).await.is_ok());
}
