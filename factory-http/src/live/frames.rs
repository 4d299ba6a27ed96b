//! What a socket says, frame by frame: JSON with a `kind`.

use factory_core::event_bus::Published;
use factory_core::model::{Event, RunId};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

/// What a client hears first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Hello {
    /// Always `hello`.
    kind: &'static str,
    /// Where the stream begins: give it as `after` to begin there again.
    cursor: String,
    /// The newest event that is stored now, in the same terms. What comes up to it is history, what comes after is news.
    head: String,
}

impl Hello {
    /// Returns the first frame.
    pub(super) fn new(cursor: String, head: String) -> Self {
        Self {
            kind: "hello",
            cursor,
            head,
        }
    }
}

/// An event.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EventFrame {
    /// Always `event`.
    kind: &'static str,
    /// Give it as `after` to go on after this event.
    cursor: String,
    /// What happened.
    event: Event,
}

/// A piece of a reply as it comes. Ephemeral: it is stored nowhere, and left out where the client is behind.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DeltaFrame<'a> {
    /// Always `delta`.
    kind: &'static str,
    /// The run.
    run_id: RunId,
    /// More text.
    text: &'a str,
}

/// A sign of life, every 15 seconds.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Heartbeat {
    /// Always `heartbeat`.
    kind: &'static str,
}

/// What a client hears last, before the socket is closed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Bye<'a> {
    /// Always `bye`.
    kind: &'static str,
    /// The close code that follows.
    code: u16,
    /// Why.
    reason: &'a str,
    /// Give it as `after` to go on where this stream ended.
    cursor: String,
}

impl<'a> Bye<'a> {
    /// Returns the last frame.
    pub(super) fn new(close: super::Close, cursor: String) -> Bye<'a> {
        Bye {
            kind: "bye",
            code: close.code(),
            reason: close.reason(),
            cursor,
        }
    }
}

/// Returns an event's frame. The event's JSON is made once for all listeners, and taken in as it is.
pub(super) fn event(published: &Published, cursor: &str) -> String {
    let cursor = serde_json::Value::from(cursor);
    format!(
        r#"{{"kind":"event","cursor":{cursor},"event":{}}}"#,
        published.json()
    )
}

/// Returns the frame of a piece of a reply.
pub(super) fn delta(run_id: RunId, text: &str) -> String {
    json(&DeltaFrame {
        kind: "delta",
        run_id,
        text,
    })
}

/// Returns the frame of a sign of life.
pub(super) fn heartbeat() -> String {
    json(&Heartbeat { kind: "heartbeat" })
}

/// Returns a frame as it is sent.
pub(super) fn json<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame).expect("frames are structs with text keys")
}

/// Gives the generator every frame, and returns their names with their `kind`.
pub(crate) fn frame_schemas(generator: &mut SchemaGenerator) -> [(&'static str, schemars::Schema); 5] {
    [
        ("hello", generator.subschema_for::<Hello>()),
        ("event", generator.subschema_for::<EventFrame>()),
        ("delta", generator.subschema_for::<DeltaFrame<'_>>()),
        ("heartbeat", generator.subschema_for::<Heartbeat>()),
        ("bye", generator.subschema_for::<Bye<'_>>()),
    ]
}

/// One frame of each kind, as the document shows them.
pub(crate) fn sample_frames(published: &Published) -> [(&'static str, String); 5] {
    let bye = Bye::new(super::Close::Restart, "7".to_owned());
    [
        ("hello", json(&Hello::new("0".to_owned(), "7".to_owned()))),
        ("event", event(published, "1")),
        ("delta", delta(RunId(1), "text")),
        ("heartbeat", heartbeat()),
        ("bye", json(&bye)),
    ]
}
