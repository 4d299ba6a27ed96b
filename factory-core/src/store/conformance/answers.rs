//! Scenarios of what is done at most once.

use super::{Fresh, a_project, a_run, all_events, at, commit_of, directive, new_run};
use crate::model::Run;
use crate::store::{Commit, Once, Page, RunFilter, StoreError};

fn once(key: &str, fingerprint: &str) -> Once {
    Once {
        scope: "ann runs".to_owned(),
        key: key.to_owned(),
        fingerprint: fingerprint.to_owned(),
    }
}

fn repeated<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> (String, String) {
    match outcome {
        Err(StoreError::Repeated { fingerprint, answer }) => (fingerprint, answer),
        other => panic!("expected a repeated key, got {other:?}"),
    }
}

/// Runs that are filed under a key are not filed again under it, and the answer of then is there.
pub async fn what_is_filed_once_is_not_filed_again(store: Fresh) {
    let project = a_project(&store).await;
    let new = vec![new_run(project.id, "one"), new_run(project.id, "two")];
    let made = store
        .create_runs(new.clone(), Some(once("k", "f")))
        .await
        .unwrap();
    let made: Vec<Run> = made.into_iter().map(|(run, _)| run).collect();
    for fingerprint in ["f", "another"] {
        let again = store.create_runs(new.clone(), Some(once("k", fingerprint))).await;
        let (kept, answer) = repeated(again);
        assert_eq!(kept, "f");
        assert_eq!(serde_json::from_str::<Vec<Run>>(&answer).unwrap(), made);
    }
    let elsewhere = Once {
        scope: "bob runs".to_owned(),
        ..once("k", "f")
    };
    store.create_runs(new, Some(elsewhere)).await.unwrap();
    let stored = store.runs(RunFilter::default(), Page::first(10)).await.unwrap();
    assert_eq!(stored.len(), 4);
}

/// A commit under a key is made once; a commit that is refused leaves the key free.
pub async fn what_is_committed_once_is_not_committed_again(store: Fresh) {
    let run = a_run(&store).await;
    let commit = |run: &Run| Commit {
        once: Some(once("k", "f")),
        ..commit_of(run, vec![directive("x")])
    };
    let mut late = commit(&run);
    late.expected_seq = late.expected_seq.next();
    assert!(matches!(
        store.commit(late).await,
        Err(StoreError::Conflict { .. })
    ));
    let (after, _) = store.commit(commit(&run)).await.unwrap();
    let (_, answer) = repeated(store.commit(commit(&after)).await);
    let kept: Vec<Run> = serde_json::from_str(&answer).unwrap();
    assert_eq!(kept, std::slice::from_ref(&after));
    assert_eq!(all_events(&store, run.id).await.len(), 2);
}

/// Other answers are kept too, until they are forgotten: the oldest first, and so many at a time.
pub async fn an_answer_is_remembered_until_it_is_forgotten(store: Fresh) {
    for (key, second) in [("a", 1), ("b", 2), ("c", 3)] {
        store
            .remember(once(key, "f"), format!("answer {key}"), at(second))
            .await
            .unwrap();
    }
    let (_, answer) = repeated(store.remember(once("a", "f"), "new".to_owned(), at(4)).await);
    assert_eq!(answer, "answer a");
    let kept = store.remembered("ann runs", "b").await.unwrap().unwrap();
    assert_eq!(
        (kept.fingerprint.as_str(), kept.answer.as_str(), kept.at),
        ("f", "answer b", at(2))
    );
    assert_eq!(store.remembered("bob runs", "b").await.unwrap(), None);

    assert_eq!(store.forget_answers(at(3), 1).await.unwrap(), 1);
    assert_eq!(store.remembered("ann runs", "a").await.unwrap(), None);
    assert_eq!(store.forget_answers(at(3), 9).await.unwrap(), 1);
    assert_eq!(store.forget_answers(at(3), 9).await.unwrap(), 0);
    assert!(store.remembered("ann runs", "c").await.unwrap().is_some());
}
