//! What holds for the history of every run, whatever happened to it.

use factory_core::model::{Event, EventKind, RunStatus};

/// The events that announce an effect.
const INTENTS: [&str; 5] = [
    "LLM_REQUESTED",
    "TOOL_STARTED",
    "CHECK_STARTED",
    "SETUP_STARTED",
    "OPERATION_STARTED",
];

/// Returns how many events of the type there are.
pub fn count(events: &[Event], type_name: &str) -> usize {
    events
        .iter()
        .filter(|event| event.kind.type_name() == type_name)
        .count()
}

/// Asserts that numbers have no gap, that every change of status is legal, and that no intent stands where the run
/// was not RUNNING. Returns the last status.
pub fn assert_lawful(events: &[Event]) -> RunStatus {
    let mut status = RunStatus::Queued;
    for (event, number) in events.iter().zip(1..) {
        assert_eq!(event.seq.0, number, "a gap in {events:#?}");
        let name = event.kind.type_name();
        assert!(
            !INTENTS.contains(&name) || status == RunStatus::Running,
            "{name} as event {number} of a run that is {status}: {}",
            names(events)
        );
        if let Some(transition) = event.kind.transition() {
            status = status
                .after(transition)
                .unwrap_or_else(|error| panic!("event {number}, {name}: {error}: {}", names(events)));
        }
    }
    status
}

pub fn names(events: &[Event]) -> String {
    let names: Vec<&str> = events.iter().map(|event| event.kind.type_name()).collect();
    names.join(" ")
}

/// Returns the payloads that `pick` picks.
pub fn all<'a, T: 'a>(events: &'a [Event], pick: impl Fn(&'a EventKind) -> Option<T> + 'a) -> Vec<T> {
    events.iter().filter_map(|event| pick(&event.kind)).collect()
}
