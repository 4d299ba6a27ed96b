//! The stored vocabulary: every fact of a run, typed and versioned.
//!
//! An event is stored as its type's name and a JSON payload with a version `v`. What this program does not know, a
//! type or a version of a newer one, or an old row that is no JSON, is kept as [`UnknownEvent`] and served as it is.

use std::fmt;
use std::str::FromStr;

use schemars::{Schema, SchemaGenerator};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::{EventId, RunId, Seq, StepId, Timestamp, Transition, Usage};

pub mod payload;

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Actor {
    /// A person, by name.
    Operator(String),
    /// An agent, by its type.
    Agent(String),
    /// The factory itself.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Agent(kind) => write!(f, "agent:{kind}"),
            Self::System => f.write_str("system"),
        }
    }
}

impl FromStr for Actor {
    type Err = super::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("operator", name)) if !name.is_empty() => Ok(Self::Operator(name.to_owned())),
            Some(("agent", kind)) if !kind.is_empty() => Ok(Self::Agent(kind.to_owned())),
            None if text == "system" => Ok(Self::System),
            _ => Err(super::InvalidId {
                text: text.chars().take(80).collect(),
                expected: "an actor such as operator:NAME, agent:TYPE or system",
            }),
        }
    }
}

impl TryFrom<String> for Actor {
    type Error = super::InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        actor.to_string()
    }
}

/// An event that this program cannot read but keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownEvent {
    /// The stored type.
    pub type_name: String,
    /// The stored payload, byte for byte; it need not be JSON.
    pub payload: Option<String>,
}

macro_rules! event_kinds {
    ($($variant:ident = $name:literal v $version:literal),+ $(,)?) => {
        /// What happened. Each variant's payload is documented in [`payload`].
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum EventKind {
            $(
                #[doc = concat!("`", $name, "`: see [`payload::", stringify!($variant), "`].")]
                $variant(payload::$variant),
            )+
            /// Of a type or version that this program does not know.
            Unknown(UnknownEvent),
        }

        impl EventKind {
            /// The types that this program writes.
            pub const TYPES: &[&str] = &[$($name),+];

            /// Returns the stored type.
            pub fn type_name(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $name,)+
                    Self::Unknown(unknown) => &unknown.type_name,
                }
            }

            /// Describes the payload of every type that this program writes: its name, its version, and the schema, whose
            /// definitions stay with the generator.
            pub fn payload_schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, u32, Schema)> {
                vec![$(($name, $version, generator.subschema_for::<payload::$variant>())),+]
            }

            /// Returns the stored payload: JSON with the version `v`, or an unknown event's text untouched.
            pub fn stored_payload(&self) -> Option<String> {
                match self {
                    $(Self::$variant(payload) => Some(versioned($version, payload)),)+
                    Self::Unknown(unknown) => unknown.payload.clone(),
                }
            }

            /// Reads a stored event. Never fails: what cannot be read is kept as unknown.
            pub fn from_stored(type_name: String, payload: Option<String>) -> Self {
                let read = match type_name.as_str() {
                    $($name => payload.as_deref().and_then(|text| read($version, text)).map(Self::$variant),)+
                    _ => None,
                };
                read.unwrap_or(Self::Unknown(UnknownEvent { type_name, payload }))
            }
        }

        $(
            impl From<payload::$variant> for EventKind {
                fn from(payload: payload::$variant) -> Self {
                    Self::$variant(payload)
                }
            }
        )+
    };
}

event_kinds! {
    RunCreated = "RUN_CREATED" v 1,
    RunStarted = "RUN_STARTED" v 1,
    RunPaused = "RUN_PAUSE" v 1,
    RunResumed = "RUN_RESUME" v 1,
    RunStopped = "RUN_STOP" v 1,
    RunReleased = "RUN_RELEASED" v 1,
    RunRecovered = "RUN_RECOVERED" v 1,
    RunComplete = "RUN_COMPLETE" v 1,
    RunFailed = "RUN_FAILED" v 1,
    DirectiveReceived = "DIRECTIVE_RECEIVED" v 1,
    DirectiveDelivered = "DIRECTIVE_DELIVERED" v 1,
    ApprovalRequested = "APPROVAL_REQUESTED" v 1,
    ApprovalDecided = "APPROVAL_DECIDED" v 1,
    ReviewCommented = "REVIEW_COMMENTED" v 1,
    BudgetRaised = "BUDGET_RAISED" v 1,
    ModelReady = "MODEL_READY" v 1,
    LlmRequested = "LLM_REQUESTED" v 1,
    LlmResponded = "LLM_RESPONDED" v 1,
    LlmFailed = "LLM_FAILED" v 1,
    ContextCompacted = "CONTEXT_COMPACTED" v 1,
    PlanGenerated = "PLAN_GENERATED" v 1,
    PlanRevised = "PLAN_REVISED" v 1,
    SetupStarted = "SETUP_STARTED" v 1,
    SetupFinished = "SETUP_FINISHED" v 1,
    StepStarted = "STEP_STARTED" v 1,
    StepFinished = "STEP_FINISHED" v 1,
    ToolStarted = "TOOL_STARTED" v 1,
    ToolFinished = "TOOL_FINISHED" v 1,
    FileChanged = "FILE_CHANGED" v 1,
    PolicyDenied = "POLICY_DENIED" v 1,
    CheckStarted = "CHECK_STARTED" v 1,
    CheckFinished = "CHECK_FINISHED" v 1,
    LoopDetected = "LOOP_DETECTED" v 1,
    BudgetWarned = "BUDGET_WARNED" v 1,
    BudgetExhausted = "BUDGET_EXHAUSTED" v 1,
    CheckpointCreated = "CHECKPOINT_CREATED" v 1,
    CommitCreated = "COMMIT_CREATED" v 1,
    BranchPublished = "BRANCH_PUBLISHED" v 1,
    OperationStarted = "OPERATION_STARTED" v 1,
    OperationFinished = "OPERATION_FINISHED" v 1,
}

impl EventKind {
    /// Returns the change of status that the event stands for; none where it changes none.
    pub fn transition(&self) -> Option<Transition> {
        match self {
            Self::RunStarted(_) => Some(Transition::Claim),
            Self::RunPaused(_) => Some(Transition::Pause),
            Self::RunResumed(_) => Some(Transition::Resume),
            Self::RunStopped(_) => Some(Transition::Stop),
            Self::RunReleased(_) | Self::RunRecovered(_) => Some(Transition::Release),
            Self::RunComplete(_) => Some(Transition::Finish),
            Self::RunFailed(_) => Some(Transition::Fail),
            Self::ApprovalRequested(_) => Some(Transition::RequestApproval),
            // A decision without a record was made by policy while the run went on.
            Self::ApprovalDecided(decided) => decided.approval.map(|_| Transition::Decide),
            _ => None,
        }
    }

    /// Returns what the event adds to the run's usage.
    pub fn usage(&self) -> Usage {
        let work = |work_ms| Usage {
            work_ms,
            ..Usage::default()
        };
        match self {
            Self::ModelReady(ready) => ready.usage,
            Self::LlmResponded(responded) => responded.usage,
            Self::LlmFailed(failed) => failed.usage,
            Self::SetupFinished(finished) => work(finished.work_ms),
            Self::ToolFinished(finished) => work(finished.work_ms),
            Self::CheckFinished(finished) => work(finished.work_ms),
            _ => Usage::default(),
        }
    }
}

/// A payload with its version in front.
#[derive(Serialize, Deserialize)]
struct Versioned<P> {
    v: u32,
    #[serde(flatten)]
    payload: P,
}

fn versioned<P: Serialize>(v: u32, payload: &P) -> String {
    serde_json::to_string(&Versioned { v, payload }).expect("payloads are structs with text keys")
}

fn read<P: for<'a> Deserialize<'a>>(known: u32, text: &str) -> Option<P> {
    let versioned: Versioned<P> = serde_json::from_str(text).ok()?;
    (versioned.v == known).then_some(versioned.payload)
}

/// An event to be stored. Its number within the run and its time are given by the journal and the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Who caused it.
    pub actor: Actor,
    /// The event of the same run that led to it.
    pub cause: Option<Seq>,
    /// The step of the plan that it belongs to.
    pub step_id: Option<StepId>,
    /// What happened.
    pub kind: EventKind,
}

impl NewEvent {
    /// Returns an event of the factory itself, without cause or step.
    pub fn system(kind: impl Into<EventKind>) -> Self {
        Self::by(Actor::System, kind)
    }

    /// Returns an event of `actor`, without cause or step.
    pub fn by(actor: Actor, kind: impl Into<EventKind>) -> Self {
        Self {
            actor,
            cause: None,
            step_id: None,
            kind: kind.into(),
        }
    }

    /// Returns the event with its step.
    #[must_use]
    pub fn in_step(mut self, step: Option<StepId>) -> Self {
        self.step_id = step;
        self
    }

    /// Returns the event with its cause.
    #[must_use]
    pub fn because_of(mut self, cause: Seq) -> Self {
        self.cause = Some(cause);
        self
    }
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event's number over all runs.
    pub id: EventId,
    /// The run.
    pub run_id: RunId,
    /// The event's place within the run.
    pub seq: Seq,
    /// Who caused it.
    pub actor: Actor,
    /// The event of the same run that led to it.
    pub cause: Option<Seq>,
    /// The step of the plan that it belongs to.
    pub step_id: Option<StepId>,
    /// What happened.
    pub kind: EventKind,
    /// When it was stored.
    pub created_at: Timestamp,
}

impl Event {
    /// Returns the payload as JSON; a stored text that is no JSON becomes a JSON string.
    pub fn payload(&self) -> serde_json::Value {
        match self.kind.stored_payload() {
            None => serde_json::Value::Null,
            Some(text) => serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)),
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("Event", 9)?;
        event.serialize_field("id", &self.id)?;
        event.serialize_field("run_id", &self.run_id)?;
        event.serialize_field("seq", &self.seq)?;
        event.serialize_field("type", self.kind.type_name())?;
        event.serialize_field("actor", &self.actor)?;
        event.serialize_field("cause", &self.cause)?;
        event.serialize_field("step_id", &self.step_id)?;
        event.serialize_field("payload", &self.payload())?;
        event.serialize_field("created_at", &self.created_at)?;
        event.end()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            id: EventId,
            run_id: RunId,
            seq: Seq,
            r#type: String,
            actor: Actor,
            cause: Option<Seq>,
            step_id: Option<StepId>,
            payload: serde_json::Value,
            created_at: Timestamp,
        }
        let wire = Wire::deserialize(deserializer)?;
        let payload = match wire.payload {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text),
            value => Some(value.to_string()),
        };
        Ok(Self {
            id: wire.id,
            run_id: wire.run_id,
            seq: wire.seq,
            actor: wire.actor,
            cause: wire.cause,
            step_id: wire.step_id,
            kind: EventKind::from_stored(wire.r#type, payload),
            created_at: wire.created_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_carries_its_version_and_comes_back_whole() {
        let kind = EventKind::from(payload::DirectiveReceived {
            text: "use \"tabs\"".to_owned(),
        });
        let stored = kind.stored_payload().unwrap();
        assert_eq!(stored, r#"{"v":1,"text":"use \"tabs\""}"#);
        assert_eq!(
            EventKind::from_stored("DIRECTIVE_RECEIVED".to_owned(), Some(stored)),
            kind
        );
    }

    #[test]
    fn what_is_not_known_is_kept_as_it_is() {
        let cases = [
            ("STORY_MOVED", Some(r#"{"v":1,"to":"done"}"#)),
            ("DIRECTIVE_RECEIVED", Some(r#"{"v":2,"text":"x"}"#)),
            ("DIRECTIVE_RECEIVED", Some("not json")),
            ("RUN_PAUSE", None),
        ];
        for (type_name, payload) in cases {
            let payload = payload.map(str::to_owned);
            let kind = EventKind::from_stored(type_name.to_owned(), payload.clone());
            assert!(matches!(kind, EventKind::Unknown(_)), "{kind:?}");
            assert_eq!(kind.type_name(), type_name);
            assert_eq!(kind.stored_payload(), payload);
        }
    }

    #[test]
    fn actors_are_written_as_the_contract_says() {
        for text in ["operator:ann", "agent:coder", "system"] {
            assert_eq!(text.parse::<Actor>().unwrap().to_string(), text);
        }
        assert!("operator:".parse::<Actor>().is_err());
    }
}
