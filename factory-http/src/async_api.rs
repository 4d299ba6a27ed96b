//! The `AsyncAPI` document: the sockets and event streams, which stand in no `OpenAPI` document, made of the types that are
//! sent.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::live::{Close, frame_schemas};

/// What stands before the channels.
const DESCRIPTION: &str = "\
Events as they happen, of one run or of all, over a WebSocket or as server-sent events. Each event comes once and in order \
from the cursor on: what was stored before the connection first, then what is stored from then on. Connect again with the \
cursor of the last frame and nothing is missed and nothing doubled, however long it took.

A run's cursor is the number of an event in that run (`seq`); over all runs it is an opaque text. Without a cursor a run is \
told from its beginning and all runs from now on.

Sockets and streams take the same credential as the HTTP API: `Authorization: Bearer TOKEN`. A browser session offers its \
page's secret as the subprotocol `factory.page.SECRET` beside `factory.v1`. Nothing is expected from the client.";

/// Returns the document.
pub(crate) fn document() -> Value {
    let mut generator = SchemaSettings::draft07()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .for_serialize()
        .into_generator();
    let frames = frame_schemas(&mut generator);
    let mut schemas = generator.take_definitions(true);
    let (mut messages, mut of_channel) = (Map::new(), Map::new());
    for (kind, schema) in frames {
        // A frame's own word stands in its `kind`; the type alone says that it is a text.
        if let Some(name) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| path.rsplit('/').next())
            && let Some(known) = schemas.get_mut(name)
        {
            known["properties"]["kind"] = json!({"const": kind});
        }
        let message = json!({"name": kind, "contentType": "application/json", "payload": schema});
        messages.insert(kind.to_owned(), message);
        of_channel.insert(
            kind.to_owned(),
            json!({"$ref": format!("#/components/messages/{kind}")}),
        );
    }
    let close_codes: Map<String, Value> = Close::ALL
        .map(|close| (close.code().to_string(), close.reason().into()))
        .into_iter()
        .collect();
    let after = json!({"description": "Where to begin: the cursor of a frame."});
    let run_id = json!({"description": "The run's number."});
    let channel = |address: &str, title: &str, socket: bool| {
        let mut channel = json!({
            "address": address,
            "title": title,
            "messages": of_channel,
            "parameters": if address.contains("{run_id}") {
                json!({"run_id": run_id, "after": after})
            } else {
                json!({"after": after})
            },
        });
        if socket {
            channel["bindings"] = json!({"ws": {"method": "GET", "query": {"type": "object", "properties": {
                "after": {"type": "string"},
                "stay": {"type": "boolean", "description": "Whether it goes on when the run is final."},
            }}}});
            channel["x-close-codes"] = close_codes.clone().into();
        } else {
            channel["description"] =
                "Server-sent events: `id` is the cursor, `event` a frame's `kind`, `data` the event \
                itself, or the frame for the other kinds. `Last-Event-ID` goes on after it."
                    .into();
        }
        channel
    };
    let channels = json!({
        "runSocket": channel("/runs/{run_id}/events/ws?after={after}", "One run, over a WebSocket", true),
        "allSocket": channel("/events/ws?after={after}", "All runs, over a WebSocket", true),
        "runStream": channel("/runs/{run_id}/events/stream?after={after}", "One run, as server-sent events", false),
        "allStream": channel("/events/stream?after={after}", "All runs, as server-sent events", false),
    });
    let operations: Map<String, Value> = ["runSocket", "allSocket", "runStream", "allStream"]
        .map(|name| {
            let operation = json!({
                "action": "send",
                "channel": {"$ref": format!("#/channels/{name}")},
                "summary": "The server tells what happens.",
            });
            (format!("tell_{name}"), operation)
        })
        .into_iter()
        .collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "AI Dev Factory: events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    })
}

#[cfg(test)]
mod tests {
    use factory_core::event_bus::Published;
    use factory_core::model::payload::DirectiveReceived;
    use factory_core::model::{Actor, Event, EventId, RunId, Seq, Timestamp};

    use super::*;

    #[test]
    fn what_is_sent_is_what_is_described() {
        let document = document();
        let event = Published::new(Event {
            id: EventId(1),
            run_id: RunId(1),
            seq: Seq(1),
            actor: Actor::System,
            cause: None,
            step_id: None,
            kind: DirectiveReceived { text: "x".to_owned() }.into(),
            created_at: Timestamp::UNKNOWN,
        });
        for (kind, frame) in crate::live::sample_frames(&event) {
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
