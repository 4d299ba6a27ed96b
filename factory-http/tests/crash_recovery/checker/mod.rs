//! Says what is wrong with a run that was killed and resumed. Pure: it looks at evidence and touches nothing.

mod history;
mod model_log;
mod outcome;
mod tests;

use std::fmt;

use factory_core::model::Event;

use crate::evidence::Evidence;

/// What a run must keep to, whatever is killed when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// Events are numbered 1, 2, 3 … without a gap, and no event's number is used twice.
    Gapless,
    /// What was stored at a death is there afterwards, unchanged.
    Kept,
    /// Each change of status is one that the status allows, and the one end is the last event.
    Status,
    /// Each model call is entered once before, and once with its outcome.
    Call,
    /// Each tool call of a reply is finished once, in order, and begun again only as a command's rerun after a death.
    Tool,
    /// Each round of checks is finished once, and each step too.
    Proof,
    /// The changes of a file follow upon one another.
    FileChange,
    /// The commit is made once, and published once.
    Publication,
    /// A death parks a run for one reason alone: that it died again and again.
    Parked,
    /// The model is asked only what was entered before, and nothing whose reply is stored.
    AskedAgain,
    /// The same turn is asked with the same prompt.
    Prompt,
    /// The run ends as one that was not disturbed.
    Outcome,
    /// The operator's repository has one branch more, and nothing else has changed.
    Operators,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.rule, self.detail)
    }
}

/// What is found wrong, as it is found.
#[derive(Debug, Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, rule: Rule, detail: impl Into<String>) {
        let detail = detail.into();
        self.0.push(Violation { rule, detail });
    }

    fn require(&mut self, holds: bool, rule: Rule, detail: impl FnOnce() -> String) {
        if !holds {
            self.add(rule, detail());
        }
    }

    fn require_same<T: PartialEq + fmt::Debug>(&mut self, rule: Rule, what: &str, found: &T, expected: &T) {
        self.require(found == expected, rule, || {
            format!("{what} is {found:?} instead of {expected:?}")
        });
    }
}

/// Returns everything that is wrong with a run, compared with one that was not disturbed.
pub(crate) fn violations(evidence: &Evidence, undisturbed: &Evidence) -> Vec<Violation> {
    let mut findings = Findings::default();
    history::check(&evidence.events, &mut findings);
    for death in &evidence.deaths {
        check_kept(&death.events, &evidence.events, &mut findings);
    }
    model_log::check(evidence, &mut findings);
    outcome::check(evidence, undisturbed, &mut findings);
    findings.0
}

/// What was stored at a death begins the final history.
fn check_kept(then: &[Event], now: &[Event], findings: &mut Findings) {
    for (place, event) in then.iter().enumerate() {
        match now.get(place) {
            Some(same) if same == event => {}
            Some(other) => findings.add(
                Rule::Kept,
                format!("event {} was {event:?} and is {other:?}", event.seq),
            ),
            None => findings.add(Rule::Kept, format!("event {} is lost: {event:?}", event.seq)),
        }
    }
}
