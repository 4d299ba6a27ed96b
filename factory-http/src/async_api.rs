//! The `AsyncAPI` document: the sockets and event streams, which stand in no `OpenAPI` document, made of the types that are
//! sent.

use factory_core::event_bus::Published;
use factory_core::model::payload::DirectiveReceived;
use factory_core::model::{Actor, Event, EventId, RunId, Seq, Timestamp};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::live::{Close, bounds, frame_schemas, sample_frames};

/// Returns what stands before the channels.
fn description() -> String {
    format!(
        "\
Events as they happen, of one run or of all, over a WebSocket or as server-sent events. Each event comes once and in order \
from the cursor on: what was stored before the connection first, then what is stored from then on. Connect again with the \
cursor of the last frame and nothing is missed and nothing doubled, however long it took.

A run's cursor is the number of an event in that run (`seq`); over all runs it is an opaque text. Without a cursor a run is \
told from its beginning and all runs from now on.

Sockets and streams take the same credential as the HTTP API: `Authorization: Bearer TOKEN`. A browser session offers its \
page's secret as the subprotocol `factory.page.SECRET` beside `factory.v1`. Nothing is expected from the client.

**Bounds.** Every {heartbeat} seconds comes a sign of life, in a stream as a comment. For a client of a socket at most \
{unwritten} bytes wait to be written; one that leaves what it is told unread for {unread} seconds is closed with 4408, and \
is told the rest from the store when it connects again. Pieces of a reply that come within {gather} milliseconds are one \
frame, of at most {delta} bytes; what is more is left out. A message of the client's may have {heard} bytes, and \
{messages} may come between two signs of life; more closes the socket with 1008. A stream is told a part when its connection \
takes one, so that a client that does not read costs one. What the codes mean that a socket is closed with stands with it as \
`x-close-codes`, what it may take as `x-bounds`.",
        heartbeat = bounds::HEARTBEAT.as_secs(),
        unwritten = bounds::MOST_UNWRITTEN,
        unread = bounds::PATIENCE.as_secs(),
        gather = bounds::GATHER.as_millis(),
        delta = bounds::MOST_GATHERED,
        heard = bounds::MOST_HEARD,
        messages = bounds::MOST_MESSAGES,
    )
}

/// How events are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Socket,
    Stream,
}

/// Every channel: its name, its address, its title and how it tells.
const CHANNELS: [(&str, &str, &str, Way); 4] = [
    (
        "runSocket",
        "/runs/{run_id}/events/ws",
        "One run, over a WebSocket",
        Way::Socket,
    ),
    (
        "allSocket",
        "/events/ws",
        "All runs, over a WebSocket",
        Way::Socket,
    ),
    (
        "runStream",
        "/runs/{run_id}/events/stream",
        "One run, as server-sent events",
        Way::Stream,
    ),
    (
        "allStream",
        "/events/stream",
        "All runs, as server-sent events",
        Way::Stream,
    ),
];

/// Returns the document.
pub(crate) fn document() -> Value {
    let mut generator = SchemaSettings::draft07()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .for_serialize()
        .into_generator();
    let frames = frame_schemas(&mut generator);
    let mut schemas = generator.take_definitions(true);
    let mut messages = Map::new();
    for ((kind, schema), (_, sample)) in frames.into_iter().zip(sample_frames(&sample_event())) {
        // A frame's own word stands in its `kind`; the type alone says that it is a text.
        let known = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| path.rsplit('/').next())
            .and_then(|name| schemas.get_mut(name));
        let mut summary = Value::Null;
        if let Some(known) = known {
            known["properties"]["kind"] = json!({"const": kind});
            summary = known["description"].clone();
        }
        let sample: Value = serde_json::from_str(&sample).expect("frames are JSON");
        let message = json!({
            "name": kind, "summary": summary, "contentType": "application/json", "payload": schema,
            "examples": [{"payload": sample}],
        });
        messages.insert(kind.to_owned(), message);
    }
    let channels: Map<String, Value> = CHANNELS
        .into_iter()
        .map(|(name, address, title, way)| (name.to_owned(), channel(address, title, way, &messages)))
        .collect();
    let operations: Map<String, Value> = CHANNELS
        .into_iter()
        .map(|(name, .., way)| (format!("tell_{name}"), operation(name, way)))
        .collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "AI Dev Factory: events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": description(),
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of `factory token`."},
            },
        },
    })
}

fn channel(address: &str, title: &str, way: Way, messages: &Map<String, Value>) -> Value {
    let messages: Map<String, Value> = messages
        .keys()
        .map(|kind| {
            let reference = json!({"$ref": format!("#/components/messages/{kind}")});
            (kind.clone(), reference)
        })
        .collect();
    let mut channel = json!({"address": address, "title": title, "messages": messages});
    if address.contains("{run_id}") {
        channel["parameters"] = json!({"run_id": {"description": "The run's number."}});
    }
    let mut taken = json!({"heartbeat_seconds": bounds::HEARTBEAT.as_secs()});
    match way {
        Way::Socket => {
            channel["bindings"] = json!({"ws": {"method": "GET", "query": query()}});
            channel["x-close-codes"] = Close::ALL
                .map(|close| (close.code().to_string(), Value::from(close.reason())))
                .into_iter()
                .collect::<Map<_, _>>()
                .into();
            taken["unread_seconds"] = bounds::PATIENCE.as_secs().into();
            taken["unwritten_bytes"] = bounds::MOST_UNWRITTEN.into();
            taken["delta_bytes"] = bounds::MOST_GATHERED.into();
            taken["message_bytes"] = bounds::MOST_HEARD.into();
            taken["messages_between_heartbeats"] = bounds::MOST_MESSAGES.into();
        }
        Way::Stream => {
            channel["description"] =
                "Server-sent events: `id` is the cursor, `event` a frame's `kind`, `data` the event \
                itself, or the frame for the other kinds. `Last-Event-ID` goes on after it."
                    .into();
        }
    }
    channel["x-bounds"] = taken;
    channel
}

fn operation(channel: &str, way: Way) -> Value {
    let mut operation = json!({
        "action": "send",
        "channel": {"$ref": format!("#/channels/{channel}")},
        "summary": "The server tells what happens.",
        "security": [{"$ref": "#/components/securitySchemes/token"}],
    });
    if way == Way::Stream {
        operation["bindings"] = json!({"http": {"method": "GET", "query": query()}});
    }
    operation
}

/// Returns what the query of a channel's address can say.
fn query() -> Value {
    json!({"type": "object", "properties": {
        "after": {"type": "string", "description": "Where to begin: the cursor of a frame."},
        "stay": {"type": "boolean", "description": "Whether it goes on when the run is final."},
    }})
}

/// Returns an event to show.
fn sample_event() -> Published {
    let text = "Leave the public names as they are.".to_owned();
    Published::new(Event {
        id: EventId(41),
        run_id: RunId(1),
        seq: Seq(1),
        actor: Actor::System,
        cause: None,
        step_id: None,
        kind: DirectiveReceived { text }.into(),
        created_at: Timestamp::UNKNOWN,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_is_described() {
        let document = document();
        for (kind, frame) in sample_frames(&sample_event()) {
            let mut schema = document["components"]["messages"][kind]["payload"].clone();
            schema["components"] = document["components"].clone();
            let validator = jsonschema::draft7::new(&schema).unwrap();
            let mut frame: Value = serde_json::from_str(&frame).unwrap();
            assert!(validator.is_valid(&frame), "{kind}: {frame}");
            frame["kind"] = "another".into();
            assert!(
                !validator.is_valid(&frame),
                "{kind} is told from others by its kind"
            );
        }
    }

    #[test]
    fn what_a_connection_may_take_is_told() {
        let document = document();
        let words = document["info"]["description"].as_str().unwrap();
        for said in [
            "15 seconds",
            "30 seconds",
            "1048576 bytes",
            "65536 bytes",
            "16384 bytes",
            "4408",
        ] {
            assert!(words.contains(said), "{said}: {words}");
        }
        for (name, channel) in document["channels"].as_object().unwrap() {
            assert!(!channel["address"].as_str().unwrap().contains('?'), "{name}");
            let bounds = &channel["x-bounds"];
            assert_eq!(bounds["heartbeat_seconds"], 15, "{name}");
            if name.ends_with("Socket") {
                assert_eq!(bounds["unwritten_bytes"], 1 << 20, "{name}");
                assert_eq!(bounds["unread_seconds"], 30, "{name}");
                for close in Close::ALL {
                    let told = &channel["x-close-codes"][close.code().to_string()];
                    assert_eq!(told, close.reason(), "{name}");
                }
            }
        }
        for (name, message) in document["components"]["messages"].as_object().unwrap() {
            assert!(!message["summary"].as_str().unwrap().is_empty(), "{name}");
            assert_eq!(message["examples"][0]["payload"]["kind"], name.as_str());
        }
    }

    #[test]
    fn the_document_is_the_known_one() {
        let mut document = document();
        // The events' own schemas stand in the other document's snapshot.
        let schemas = document["components"]["schemas"].as_object_mut().unwrap();
        schemas.retain(|name, _| {
            ["Hello", "EventFrame", "DeltaFrame", "Heartbeat", "Bye"].contains(&name.as_str())
        });
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
    }
}
