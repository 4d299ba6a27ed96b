//! Scenarios of events: order, pages, and nothing lost of what they say.

use std::collections::HashSet;

use super::{Fresh, a_run, all_events, assert_not_found, at, commit_of, directive, new_project, new_run};
use crate::model::{Actor, Event, EventId, EventKind, NewEvent, RunId, Seq, StepId, UnknownEvent};
use crate::store::{Page, StoreExt as _};

/// Events come back in the order of their numbers, page by page, and a page beyond the last is empty.
pub async fn events_come_back_in_order_and_in_pages(store: Fresh) {
    let run = a_run(&store).await;
    let other = a_run(&store).await;
    store
        .commit(commit_of(&other, vec![directive("elsewhere")]))
        .await
        .unwrap();
    store
        .commit(commit_of(
            &run,
            (2..=5).map(|number| directive(&number.to_string())).collect(),
        ))
        .await
        .unwrap();
    let all = all_events(&store, run.id).await;
    assert_eq!(
        all.iter().map(|event| event.seq.0).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    assert_eq!(store.events(run.id, Page::first(2)).await.unwrap(), all[..2]);
    assert_eq!(
        store.events(run.id, Page::after(Seq(0), 2)).await.unwrap(),
        all[..2]
    );
    assert_eq!(
        store.events(run.id, Page::after(Seq(2), 2)).await.unwrap(),
        all[2..4]
    );
    assert_eq!(
        store.events(run.id, Page::after(Seq(4), 2)).await.unwrap(),
        all[4..]
    );
    assert_eq!(store.events(run.id, Page::after(Seq(5), 2)).await.unwrap(), []);
    assert_eq!(
        store.events(run.id, Page::after(Seq(u64::MAX), 2)).await.unwrap(),
        []
    );
}

/// A run that is not there has no events, not even none.
pub async fn events_of_no_run_are_not_found(store: Fresh) {
    assert_not_found(store.events(RunId(99), Page::first(2)).await, "run", "99");
}

/// Actor, cause, step, payload and time come back as they were stored.
pub async fn an_event_keeps_all_that_it_says(store: Fresh) {
    let run = a_run(&store).await;
    let actors = [
        Actor::System,
        Actor::Operator("ann: the 2nd".to_owned()),
        Actor::Agent("coder".to_owned()),
    ];
    let events: Vec<NewEvent> = actors
        .into_iter()
        .map(|actor| NewEvent {
            actor,
            cause: Some(Seq(1)),
            step_id: Some(StepId(u32::MAX)),
            kind: directive("line\n\"quoted\" \u{0}\u{7f} 🛒").kind,
        })
        .collect();
    let (_, stored) = store.commit(commit_of(&run, events.clone())).await.unwrap();
    let expected: Vec<Event> = (2..)
        .zip(&stored)
        .zip(events)
        .map(|((seq, stored), new)| Event {
            id: stored.id,
            run_id: run.id,
            seq: Seq(seq),
            actor: new.actor,
            cause: new.cause,
            step_id: new.step_id,
            kind: new.kind,
            created_at: at(3),
        })
        .collect();
    assert_eq!(stored, expected);
    assert_eq!(all_events(&store, run.id).await[1..], expected);
}

/// What this program does not know is kept byte for byte.
pub async fn unknown_events_are_kept_byte_for_byte(store: Fresh) {
    let run = a_run(&store).await;
    let unknown = [
        ("STORY_MOVED", Some(r#"{"v":1,  "to" : "done"}"#)),
        (
            "DIRECTIVE_RECEIVED",
            Some(r#"{"v":2,"text":"of a newer factory"}"#),
        ),
        ("RUN_PAUSE", Some("not json")),
        ("RUN_PAUSE", Some("")),
        ("RUN_PAUSE", None),
        ("", Some("null")),
    ];
    let kinds = unknown.map(|(type_name, payload)| {
        EventKind::Unknown(UnknownEvent {
            type_name: type_name.to_owned(),
            payload: payload.map(str::to_owned),
        })
    });
    let events = kinds.iter().cloned().map(NewEvent::system).collect();
    store.commit(commit_of(&run, events)).await.unwrap();
    let stored: Vec<EventKind> = all_events(&store, run.id)
        .await
        .into_iter()
        .skip(1)
        .map(|event| event.kind)
        .collect();
    assert_eq!(stored, kinds);
}

/// No two events have one number over all runs, and none is given again.
pub async fn event_numbers_are_never_shared(store: Fresh) {
    let mut numbers = HashSet::new();
    let mut count = 0;
    for name in ["one", "two"] {
        let project = store.create_project(new_project(name)).await.unwrap();
        let (run, event) = store.create_run(new_run(project.id, "x")).await.unwrap();
        let (_, events) = store
            .commit(commit_of(&run, vec![directive("a"), directive("b")]))
            .await
            .unwrap();
        // A refused commit in between takes no number that another then has.
        store
            .commit(commit_of(&run, vec![directive("late")]))
            .await
            .unwrap_err();
        numbers.insert(event.id);
        numbers.extend(events.iter().map(|event| event.id));
        count += 3;
    }
    assert_eq!(numbers.len(), count);
}

/// Events of all runs are listed in the order of their numbers, whichever run they are of.
pub async fn events_of_all_runs_come_in_the_order_of_their_numbers(store: Fresh) {
    assert_eq!(store.newest_event().await.unwrap(), EventId(0));
    assert_eq!(store.all_events(Page::first(5)).await.unwrap(), []);
    let (one, two) = (a_run(&store).await, a_run(&store).await);
    let (one, _) = store
        .commit(commit_of(&one, vec![directive("a"), directive("b")]))
        .await
        .unwrap();
    store.commit(commit_of(&two, vec![directive("c")])).await.unwrap();
    store.commit(commit_of(&one, vec![directive("d")])).await.unwrap();
    let (mut page, mut seen) = (Page::first(2), Vec::new());
    loop {
        let events = store.all_events(page).await.unwrap();
        let Some(last) = events.last() else { break };
        page.after = Some(last.id);
        seen.extend(events);
    }
    assert!(seen.windows(2).all(|pair| pair[0].id < pair[1].id));
    let places: Vec<(RunId, u64)> = seen.iter().map(|event| (event.run_id, event.seq.0)).collect();
    let expected = [
        (one.id, 1),
        (two.id, 1),
        (one.id, 2),
        (one.id, 3),
        (two.id, 2),
        (one.id, 4),
    ];
    assert_eq!(places, expected);
    assert_eq!(store.newest_event().await.unwrap(), seen[5].id);
}
