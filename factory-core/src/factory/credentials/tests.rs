//! Credentials from their making to their end.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;

use tempfile::TempDir;
use time::macros::datetime;

use super::*;
use crate::factory::Sockets;
use crate::journal::Clock;
use crate::store::{MemoryStore, Store};
use crate::testing::{Fault, FaultyStore};
use crate::{HostEnvironment, Settings};

/// A clock that goes when it is told to.
#[derive(Debug)]
struct SetClock(Mutex<Timestamp>);

impl SetClock {
    fn pass(&self, duration: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.after(duration);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct Place {
    folder: TempDir,
    store: Arc<FaultyStore>,
    clock: Arc<SetClock>,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            store: Arc::new(FaultyStore::new(Arc::new(MemoryStore::new()))),
            clock: Arc::new(SetClock(Mutex::new(datetime!(2026-01-31 12:00 UTC).into()))),
        }
    }

    async fn factory(&self, operator: &str) -> Factory {
        let host = HostEnvironment {
            variables: std::env::vars().collect(),
            home: self.folder.path().into(),
        };
        let mut settings = Settings::new(self.folder.path().join("data"), host);
        operator.clone_into(&mut settings.operator);
        let sockets = Sockets {
            store: Some(Arc::clone(&self.store) as Arc<dyn Store>),
            clock: Some(Arc::clone(&self.clock) as Arc<dyn Clock>),
            ..Sockets::default()
        };
        Factory::open_with(settings, sockets).await.unwrap()
    }

    fn token_file(&self) -> std::path::PathBuf {
        self.folder.path().join("data/token")
    }
}

fn new_token(name: &str) -> NewToken {
    NewToken {
        name: name.to_owned(),
        role: Role::Operator,
        expires_in: None,
    }
}

#[tokio::test]
async fn a_token_holds_until_it_is_taken_back_and_over_a_restart() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let issued = credentials.issue(new_token("ci")).await.unwrap();
    let token = issued.secret.expose().to_owned();
    assert_eq!(token.len(), "aidf_".len() + 43);
    let holder = credentials.authenticate(&token).unwrap();
    assert_eq!((&*holder.name, holder.role), ("ci", Role::Operator));
    for wrong in [
        "",
        "aidf_",
        &token[..token.len() - 1],
        &format!("{token}A"),
        &token.to_uppercase(),
    ] {
        assert!(credentials.authenticate(wrong).is_none(), "{wrong}");
    }
    drop(factory);

    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let holder = credentials.authenticate(&token).unwrap();
    assert!(!holder.ended.is_cancelled());
    let revoked = credentials.revoke("ci").await.unwrap();
    assert_eq!(revoked.len(), 1);
    assert!(!revoked[0].holds);
    assert!(holder.ended.is_cancelled(), "what it has open ends");
    assert!(credentials.authenticate(&token).is_none());
    drop(factory);

    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    assert!(credentials.authenticate(&token).is_none());
    assert_eq!(
        credentials.revoke("ci").await.unwrap_err().to_string(),
        "no token `ci` holds; `factory token list` shows those that do"
    );
}

#[tokio::test]
async fn looking_a_token_up_asks_no_store() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let issued = credentials.issue(new_token("ci")).await.unwrap();
    // A closed store refuses everything.
    place.store.close().await;
    assert!(credentials.authenticate(issued.secret.expose()).is_some());
}

#[tokio::test]
async fn what_cannot_be_stored_ends_nevertheless() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let token = credentials.issue(new_token("ci")).await.unwrap().secret;
    let holder = credentials.authenticate(token.expose()).unwrap();
    place.store.fail_next_write(Fault::STORAGE_FULL);
    assert!(credentials.revoke("ci").await.unwrap_err().is_storage_full());
    assert!(holder.ended.is_cancelled());
    assert!(credentials.authenticate(token.expose()).is_none());
    // Said again, it is stored too.
    assert_eq!(credentials.revoke("ci").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_lapses_at_its_time_and_ends_what_is_open() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let new = NewToken {
        expires_in: Some(Duration::from_mins(1)),
        ..new_token("ci")
    };
    let token = credentials.issue(new).await.unwrap().secret;
    place.clock.pass(Duration::from_secs(59));
    let holder = credentials.authenticate(token.expose()).unwrap();
    place.clock.pass(Duration::from_secs(1));
    assert!(credentials.authenticate(token.expose()).is_none());
    credentials.inner.held.lapse(place.clock.now());
    assert!(holder.ended.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn somebody_looks_for_what_has_lapsed() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let new = NewToken {
        expires_in: Some(Duration::from_mins(1)),
        ..new_token("ci")
    };
    let token = credentials.issue(new).await.unwrap().secret;
    let holder = credentials.authenticate(token.expose()).unwrap();
    place.clock.pass(Duration::from_mins(1));
    // The paused timers go on as soon as everybody waits.
    holder.ended.cancelled().await;
}

#[tokio::test]
async fn names_are_checked() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    credentials.issue(new_token("ci-2.build@x_Y")).await.unwrap();
    for (name, expected) in [
        ("ci-2.build@x_Y", "there is a token `ci-2.build@x_Y` already"),
        ("Ann", "`Ann` is the operator's own name"),
        ("", "`` is no name of a token"),
        ("1", "`1` is no name of a token"),
        ("a b", "`a b` is no name of a token"),
        ("a\n", "`a\\n` is no name of a token"),
        ("ü", "`ü` is no name of a token"),
        (&"a".repeat(65), "`aaaaaaaaaa"),
    ] {
        let refused = credentials.issue(new_token(name)).await.unwrap_err().to_string();
        assert!(refused.starts_with(expected), "{refused}");
    }
    for taken in ["ci-2.build@x_Y", "Ann"] {
        let refused = credentials.issue(new_token(taken)).await.unwrap_err();
        assert!(matches!(refused, Error::NameTaken(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn the_owners_token_lies_in_a_private_file() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let token = credentials.owner_token().await.unwrap();
    assert_eq!(credentials.owner_token().await.unwrap(), token, "it is made once");
    let kept = std::fs::read_to_string(place.token_file()).unwrap();
    assert_eq!(kept, format!("{}\n", token.expose()));
    let mode = std::fs::metadata(place.token_file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    let holder = credentials.authenticate(token.expose()).unwrap();
    assert_eq!((&*holder.name, holder.role), ("ann", Role::Admin));
    for reference in ["ann", &holder.id.to_string()] {
        let refused = credentials.revoke(reference).await.unwrap_err().to_string();
        assert!(refused.contains("factory token rotate"), "{refused}");
    }
    drop(factory);

    // It outlives a restart, and goes with the operator's name.
    let factory = place.factory("bob").await;
    let credentials = factory.credentials().await.unwrap();
    assert_eq!(credentials.owner_token().await.unwrap(), token);
    assert_eq!(&*credentials.authenticate(token.expose()).unwrap().name, "bob");
}

#[tokio::test]
async fn an_owners_token_that_is_lost_or_open_to_others_is_replaced() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let mut token = credentials.owner_token().await.unwrap();
    let spoil: [&dyn Fn(&std::path::Path); 4] = [
        &|file| std::fs::remove_file(file).unwrap(),
        &|file| std::fs::write(file, "aidf_guess\n").unwrap(),
        &|file| std::fs::write(file, [0xff, 0xfe]).unwrap(),
        &|file| std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap(),
    ];
    for spoil in spoil {
        spoil(&place.token_file());
        let another = credentials.owner_token().await.unwrap();
        assert_ne!(another, token);
        assert!(credentials.authenticate(token.expose()).is_none());
        assert!(credentials.authenticate(another.expose()).is_some());
        token = another;
    }
    let rotated = credentials.rotate(None).await.unwrap().secret;
    assert!(credentials.authenticate(token.expose()).is_none());
    assert_eq!(credentials.owner_token().await.unwrap(), rotated);
    let listed = credentials.list(Listed::Holding, Page::first(9)).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
}

#[tokio::test]
async fn a_rotated_token_keeps_name_role_and_lifetime() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let day = Duration::from_hours(24);
    let new = NewToken {
        expires_in: Some(day),
        ..new_token("ci")
    };
    let old = credentials.issue(new).await.unwrap().secret;
    place.clock.pass(day / 2);
    let rotated = credentials.rotate(Some("ci")).await.unwrap();
    assert!(credentials.authenticate(old.expose()).is_none());
    let holder = credentials.authenticate(rotated.secret.expose()).unwrap();
    assert_eq!((&*holder.name, holder.role), ("ci", Role::Operator));
    assert_eq!(holder.expires_at, Some(place.clock.now().after(day)));
    assert!(credentials.rotate(Some("nobody")).await.is_err());
}

#[tokio::test]
async fn a_session_needs_both_of_its_secrets() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let code = credentials.make_login_code().await.unwrap().secret;
    assert!(
        credentials.authenticate(code.expose()).is_none(),
        "a code is no token"
    );
    let session = credentials.redeem(code.expose()).await.unwrap().unwrap();
    let (cookie, page) = (session.cookie.expose(), session.page.expose());
    let holder = credentials.authenticate_session(cookie, page).unwrap();
    assert_eq!((&*holder.name, holder.role), ("ann", Role::Admin));
    let owner = credentials.owner_token().await.unwrap();
    for (cookie, page) in [
        (cookie, ""),
        ("", page),
        (page, cookie),
        (cookie, cookie),
        (cookie, owner.expose()),
        (owner.expose(), owner.expose()),
        (code.expose(), page),
    ] {
        assert!(credentials.authenticate_session(cookie, page).is_none());
    }
    assert!(
        credentials.authenticate(cookie).is_none(),
        "a session's cookie is no token"
    );
    let again = credentials.redeem(code.expose()).await.unwrap();
    assert_eq!(again.unwrap_err(), CodeRefused::Used);
    let nothing = credentials.redeem("nothing").await.unwrap();
    assert_eq!(nothing.unwrap_err(), CodeRefused::Unknown);
    credentials.log_out(&holder).await.unwrap();
    assert!(holder.ended.is_cancelled());
    assert!(credentials.authenticate_session(cookie, page).is_none());
}

#[tokio::test]
async fn codes_and_sessions_lapse() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let code = credentials.make_login_code().await.unwrap().secret;
    place.clock.pass(LOGIN_CODE_WITHIN);
    let late = credentials.redeem(code.expose()).await.unwrap();
    assert_eq!(late.unwrap_err(), CodeRefused::Over);

    let open = async || {
        let code = credentials.make_login_code().await.unwrap().secret;
        credentials.redeem(code.expose()).await.unwrap().unwrap()
    };
    let holds = |session: &OpenedSession| {
        let (cookie, page) = (session.cookie.expose(), session.page.expose());
        credentials.authenticate_session(cookie, page).is_some()
    };
    let (used, idle) = (open().await, open().await);
    let almost = SESSION_IDLE.saturating_sub(Duration::from_secs(1));
    place.clock.pass(almost);
    assert!(holds(&used));
    place.clock.pass(Duration::from_secs(1));
    assert!(holds(&used) && !holds(&idle));
    for _ in 0..3 {
        place.clock.pass(almost);
        assert!(holds(&used));
    }
    place.clock.pass(almost);
    assert!(!holds(&used), "no use makes it last for ever");
}

#[tokio::test]
async fn revoking_a_name_ends_its_sessions_and_a_number_ends_one() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let code = credentials.make_login_code().await.unwrap().secret;
        sessions.push(credentials.redeem(code.expose()).await.unwrap().unwrap());
    }
    let holds = |session: &OpenedSession| {
        let (cookie, page) = (session.cookie.expose(), session.page.expose());
        credentials.authenticate_session(cookie, page).is_some()
    };
    let owner = credentials.owner_token().await.unwrap();
    let number = sessions[1].credential.id.to_string();
    assert_eq!(credentials.revoke(&number).await.unwrap().len(), 1);
    assert_eq!(
        sessions.iter().map(holds).collect::<Vec<_>>(),
        [true, false, true]
    );
    assert_eq!(credentials.revoke("ann").await.unwrap().len(), 2);
    assert!(!sessions.iter().any(holds));
    assert!(
        credentials.authenticate(owner.expose()).is_some(),
        "the owner is not locked out"
    );
}

#[tokio::test]
async fn a_change_by_another_process_is_taken_over() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let kept = credentials.issue(new_token("kept")).await.unwrap();
    let gone = credentials.issue(new_token("gone")).await.unwrap();
    let holder = credentials.authenticate(gone.secret.expose()).unwrap();
    let staying = credentials.authenticate(kept.secret.expose()).unwrap();
    let at = place.clock.now();
    place
        .store
        .revoke_credential(gone.credential.id, at)
        .await
        .unwrap();
    let new = NewCredential {
        kind: CredentialKind::Token,
        name: "new".to_owned(),
        role: Role::Viewer,
        hash: SecretHash::of("elsewhere"),
        created_at: at,
        expires_at: None,
    };
    place.store.add_credential(new).await.unwrap();
    credentials.refresh().await.unwrap();
    assert!(holder.ended.is_cancelled() && !staying.ended.is_cancelled());
    assert!(credentials.authenticate(gone.secret.expose()).is_none());
    assert_eq!(&*credentials.authenticate("elsewhere").unwrap().name, "new");
}

#[tokio::test]
async fn no_secret_is_shown_or_stored() {
    let place = Place::new();
    let factory = place.factory("ann").await;
    let credentials = factory.credentials().await.unwrap();
    let token = credentials.issue(new_token("ci")).await.unwrap();
    let code = credentials.make_login_code().await.unwrap();
    let session = credentials.redeem(code.secret.expose()).await.unwrap().unwrap();
    let stored = place
        .store
        .credentials(CredentialFilter::All, Page::first(9))
        .await
        .unwrap();
    let listed = credentials.list(Listed::All, Page::first(9)).await.unwrap();
    assert_eq!((stored.len(), listed.len()), (3, 3));
    let shown = format!("{token:?} {code:?} {session:?} {credentials:?} {stored:?} {listed:?}");
    for secret in [&token.secret, &code.secret, &session.cookie, &session.page] {
        assert!(!shown.contains(secret.expose()), "{shown}");
    }
}
