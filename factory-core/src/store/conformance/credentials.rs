//! Scenarios of credentials: hashes are unique, what was taken back stays so, a login code opens one session.

use super::{Fresh, assert_not_found, at};
use crate::model::{
    Credential, CredentialId, CredentialKind, NewCredential, NewSession, Role, SecretHash, Timestamp,
};
use crate::store::{CredentialFilter, Page, Redemption, StoreError};

fn new_credential(kind: CredentialKind, name: &str, secret: &str) -> NewCredential {
    NewCredential {
        kind,
        name: name.to_owned(),
        role: Role::Operator,
        hash: SecretHash::of(secret),
        created_at: at(1),
        expires_at: Some(at(100)),
    }
}

fn new_session(secret: &str) -> NewSession {
    NewSession {
        hash: SecretHash::of(secret),
        page_hash: SecretHash::of("page"),
        expires_at: at(1000),
    }
}

async fn held_names(store: &Fresh, now: Timestamp) -> Vec<String> {
    let filter = CredentialFilter::HoldingAt(now);
    let held = store.credentials(filter, Page::first(500)).await.unwrap();
    held.into_iter().map(|credential| credential.name).collect()
}

/// A credential comes back whole by its hash; one that is not there is not found, and the error has no hash.
pub async fn a_credential_comes_back_as_it_was_stored(store: Fresh) {
    let new = NewCredential {
        expires_at: None,
        role: Role::Admin,
        ..new_credential(CredentialKind::Token, "ci", "one")
    };
    let stored = store.add_credential(new.clone()).await.unwrap();
    let expected = Credential {
        id: stored.id,
        kind: CredentialKind::Token,
        name: "ci".to_owned(),
        role: Role::Admin,
        hash: new.hash,
        page_hash: None,
        created_at: at(1),
        expires_at: None,
        revoked_at: None,
        redeemed_at: None,
    };
    assert_eq!(stored, expected);
    assert_eq!(store.credential_by_hash(&new.hash).await.unwrap(), expected);
    let unknown = store.credential_by_hash(&SecretHash::of("two")).await;
    assert_not_found(unknown, "credential", "of that secret");
}

/// Two credentials never have the same hash.
pub async fn a_credentials_hash_is_unique(store: Fresh) {
    let new = new_credential(CredentialKind::Token, "ci", "one");
    store.add_credential(new).await.unwrap();
    let again = new_credential(CredentialKind::Token, "other", "one");
    let refused = store.add_credential(again).await.unwrap_err();
    assert!(matches!(refused, StoreError::AlreadyExists { .. }), "{refused:?}");
}

/// What was taken back no longer holds, keeps the time of the first taking, and is still there to be shown.
pub async fn a_revoked_credential_no_longer_holds(store: Fresh) {
    let new = new_credential(CredentialKind::Token, "ci", "one");
    let stored = store.add_credential(new).await.unwrap();
    let revoked = store.revoke_credential(stored.id, at(5)).await.unwrap();
    let expected = Credential {
        revoked_at: Some(at(5)),
        ..stored.clone()
    };
    assert_eq!(revoked, expected);
    assert_eq!(store.revoke_credential(stored.id, at(9)).await.unwrap(), expected);
    assert_eq!(held_names(&store, at(6)).await, Vec::<String>::new());
    let all = store
        .credentials(CredentialFilter::All, Page::first(9))
        .await
        .unwrap();
    assert_eq!(all, [expected]);
    let missing = store.revoke_credential(CredentialId(99), at(5)).await;
    assert_not_found(missing, "credential", "99");
}

/// Lists go by number, in pages; what lapsed is left out of those that hold, from the very moment on.
pub async fn credentials_are_listed_in_pages(store: Fresh) {
    for name in ["a", "b", "c"] {
        let new = new_credential(CredentialKind::Token, name, name);
        store.add_credential(new).await.unwrap();
    }
    let lasting = NewCredential {
        expires_at: None,
        ..new_credential(CredentialKind::Token, "d", "d")
    };
    store.add_credential(lasting).await.unwrap();
    assert_eq!(held_names(&store, at(99)).await, ["a", "b", "c", "d"]);
    assert_eq!(held_names(&store, at(100)).await, ["d"]);
    let page = |page| store.credentials(CredentialFilter::All, page);
    let first = page(Page::first(3)).await.unwrap();
    let second = page(Page::after(first[2].id, 3)).await.unwrap();
    let names: Vec<_> = first.iter().chain(&second).map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert_eq!(first.len(), 3);
}

/// A login code opens one session under its own name and role.
pub async fn a_login_code_opens_one_session(store: Fresh) {
    let code = SecretHash::of("code");
    let new = new_credential(CredentialKind::LoginCode, "ann", "code");
    store.add_credential(new).await.unwrap();
    let opened = store
        .redeem_login_code(&code, new_session("cookie"), at(5))
        .await
        .unwrap();
    let Redemption::Opened(session) = opened else {
        panic!("{opened:?}")
    };
    let expected = Credential {
        id: session.id,
        kind: CredentialKind::Session,
        name: "ann".to_owned(),
        role: Role::Operator,
        hash: SecretHash::of("cookie"),
        page_hash: Some(SecretHash::of("page")),
        created_at: at(5),
        expires_at: Some(at(1000)),
        revoked_at: None,
        redeemed_at: None,
    };
    assert_eq!(session, expected);
    assert_eq!(store.credential_by_hash(&expected.hash).await.unwrap(), expected);
    let redeemed = store.credential_by_hash(&code).await.unwrap();
    assert_eq!(redeemed.redeemed_at, Some(at(5)));
    let again = store.redeem_login_code(&code, new_session("second"), at(6)).await;
    assert_eq!(again.unwrap(), Redemption::Used);
    let all = store
        .credentials(CredentialFilter::All, Page::first(9))
        .await
        .unwrap();
    assert_eq!(all.len(), 2, "{all:?}");
    let held = CredentialFilter::HoldingAt(at(7));
    assert_eq!(store.credentials(held, Page::first(9)).await.unwrap(), [expected]);
}

/// What is unknown, lapsed, taken back or no login code opens nothing.
pub async fn only_a_login_code_that_holds_is_redeemed(store: Fresh) {
    let code = |secret| new_credential(CredentialKind::LoginCode, "ann", secret);
    store.add_credential(code("late")).await.unwrap();
    let revoked = store.add_credential(code("revoked")).await.unwrap();
    store.revoke_credential(revoked.id, at(2)).await.unwrap();
    let token = new_credential(CredentialKind::Token, "ci", "token");
    store.add_credential(token).await.unwrap();
    for (secret, when, expected) in [
        ("late", at(100), Redemption::Over),
        ("revoked", at(5), Redemption::Over),
        ("token", at(5), Redemption::Unknown),
        ("nothing", at(5), Redemption::Unknown),
    ] {
        let hash = SecretHash::of(secret);
        let answer = store.redeem_login_code(&hash, new_session(secret), when).await;
        assert_eq!(answer.unwrap(), expected, "{secret}");
    }
    let all = store
        .credentials(CredentialFilter::All, Page::first(9))
        .await
        .unwrap();
    assert_eq!(all.len(), 3, "{all:?}");
}

/// Of many that redeem one code at the same time, one gets a session.
pub async fn of_two_that_redeem_a_code_one_gets_the_session(store: Fresh) {
    let new = new_credential(CredentialKind::LoginCode, "ann", "code");
    store.add_credential(new).await.unwrap();
    let tries = (0..8).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let session = new_session(&format!("cookie {number}"));
            let answer = store
                .redeem_login_code(&SecretHash::of("code"), session, at(5))
                .await;
            matches!(answer.unwrap(), Redemption::Opened(_))
        })
    });
    let mut opened = 0;
    for attempt in tries.collect::<Vec<_>>() {
        opened += usize::from(attempt.await.unwrap());
    }
    assert_eq!(opened, 1);
}
