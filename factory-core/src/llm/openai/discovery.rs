//! What a server tells of a model before it is asked anything: whether it is ready, whether it has it, its window.
//!
//! Only the list of models belongs to the protocol, and servers without one exist. Everything else is a particular
//! server's own, so an answer that is missing or not understood is no failure; one that refuses the key is.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::llm::catalog::{Catalog, Listed, capabilities_of, owner, window_tokens};
use crate::llm::event_stream::bounded_json;
use crate::llm::transport::Transport;
use crate::llm::{Capabilities, LlmError, Support, Window, WindowBasis};

/// The most parts of the JSON that llama.cpp tells of itself.
const PROPERTIES_PARTS: usize = 16 * 1024;

/// The first wait for a server that loads its model; each further one is twice as long, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Is told in a few words what is waited for.
pub(super) type Progress<'a> = &'a (dyn Fn(&'static str) + Send + Sync);

/// What a server told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// What the model can do.
    pub(super) capabilities: Capabilities,
    /// How many requests the server works on at a time.
    pub(super) slots: Option<u64>,
}

/// Asks a server for a model. `name` is what the operator calls it, for errors.
pub(super) async fn discover(
    transport: &Transport,
    name: &str,
    model: &str,
    progress: Progress<'_>,
) -> Result<Told, LlmError> {
    let until = Instant::now() + transport.bounds().first_byte;
    let list = when_ready(until, progress, || transport.get("models")).await;
    let catalog = unless_untold(list)?.and_then(|body| Catalog::parse(&body));
    let mut told = Told::default();
    let mut program = None;
    match catalog.as_ref().map(|catalog| catalog.find(model)) {
        Some(Listed::Entry(entry)) => {
            told.capabilities = capabilities_of(entry);
            program = Some(owner(entry));
        }
        Some(Listed::Missing(names)) => {
            return Err(LlmError::Unusable {
                model: name.to_owned(),
                detail: transport.no_such_model(model, &names),
            });
        }
        Some(Listed::Untold) | None => {}
    }
    match program {
        Some("llamacpp") | None => {
            // It lists its model before it is loaded. Others may have something costly at this path.
            let health = when_ready(until, progress, || transport.get_at_origin("/health")).await;
            unless_untold(health)?;
            read_properties(transport, &mut told).await?;
        }
        // LM Studio, which tells the window in an interface of its own alone.
        Some("organization_owner") if told.capabilities.window.is_none() => {
            let body = unless_untold(transport.get_at_origin("/api/v0/models").await)?;
            if let Some(catalog) = body.and_then(|body| Catalog::parse(&body))
                && let Listed::Entry(entry) = catalog.find(model)
            {
                told.capabilities.window = capabilities_of(entry).window;
            }
        }
        Some(_) => {}
    }
    Ok(told)
}

/// Asks again and again while a server says that it is busy, which it does while it loads a model.
async fn when_ready<Answer>(
    until: Instant,
    progress: Progress<'_>,
    ask: impl Fn() -> Answer,
) -> Result<Vec<u8>, LlmError>
where
    Answer: Future<Output = Result<Vec<u8>, LlmError>>,
{
    let mut wait = FIRST_WAIT;
    loop {
        let busy = match ask().await {
            Err(busy @ LlmError::Busy { .. }) => busy,
            answer => return answer,
        };
        if let LlmError::Busy {
            retry_after: Some(asked),
            ..
        } = busy
        {
            wait = wait.max(asked);
        }
        if Instant::now() + wait > until {
            return Err(busy);
        }
        progress("the server is loading the model, or busy");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Reads what llama.cpp tells of itself: the window of a slot, which is a share of what it was started with.
async fn read_properties(transport: &Transport, told: &mut Told) -> Result<(), LlmError> {
    let Some(body) = unless_untold(transport.get_at_origin("/props").await)? else {
        return Ok(());
    };
    let properties = std::str::from_utf8(&body)
        .ok()
        .and_then(|text| bounded_json(text, PROPERTIES_PARTS).ok());
    if let Some(properties) = properties {
        take_properties(&properties, told);
    }
    Ok(())
}

fn take_properties(properties: &Value, told: &mut Told) {
    let Some(settings) = properties.get("default_generation_settings") else {
        // Some other server that has something else there.
        return;
    };
    if let Some(tokens) = settings.get("n_ctx").and_then(window_tokens) {
        told.capabilities.window = Some(Window {
            tokens,
            basis: WindowBasis::Verified,
        });
    }
    told.slots = properties.get("total_slots").and_then(Value::as_u64);
    // Any model can be bound by a grammar there.
    told.capabilities.schema = Support::Yes;
    let calls_tools = properties.pointer("/chat_template_caps/supports_tool_calls");
    told.capabilities.tools = match calls_tools.and_then(Value::as_bool) {
        Some(true) => Support::Yes,
        Some(false) => Support::No,
        None => Support::Unknown,
    };
    // The template is where a model that thinks is told not to.
    if let Some(template) = properties.get("chat_template").and_then(Value::as_str) {
        told.capabilities.thinking = if template.contains("enable_thinking") {
            Support::Yes
        } else {
            Support::No
        };
    }
}

/// Returns none where a server has no such answer. That it cannot be reached, or does not know us, is a failure.
fn unless_untold(answer: Result<Vec<u8>, LlmError>) -> Result<Option<Vec<u8>>, LlmError> {
    match answer {
        Ok(body) => Ok(Some(body)),
        Err(LlmError::BadReply { .. }) => Ok(None),
        Err(LlmError::Refused { status, .. }) if !matches!(status, 401 | 403) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(properties: &Value, expect: Told) {
        let mut told = Told::default();
        take_properties(properties, &mut told);
        assert_eq!(told, expect, "{properties}");
    }

    #[test]
    fn llama_cpp_tells_of_itself() {
        let expect = |tools, thinking| Told {
            capabilities: Capabilities {
                tools,
                schema: Support::Yes,
                thinking,
                protocol: None,
                price: None,
                window: Some(Window {
                    tokens: 4096,
                    basis: WindowBasis::Verified,
                }),
            },
            slots: Some(2),
        };
        let settings = json!({"n_ctx": 4096});
        check(
            &json!({"default_generation_settings": settings, "total_slots": 2,
                "chat_template": "{% if enable_thinking %}", "chat_template_caps": {"supports_tool_calls": true}}),
            expect(Support::Yes, Support::Yes),
        );
        check(
            &json!({"default_generation_settings": settings, "total_slots": 2, "chat_template": "",
                "chat_template_caps": {"supports_tool_calls": false}}),
            expect(Support::No, Support::No),
        );
        check(
            &json!({"default_generation_settings": settings, "total_slots": 2}),
            expect(Support::Unknown, Support::Unknown),
        );
    }

    #[test]
    fn another_servers_properties_tell_nothing() {
        for properties in [json!({}), json!([]), json!({"n_ctx": 7}), json!("x")] {
            check(&properties, Told::default());
        }
    }
}
