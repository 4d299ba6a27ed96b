//! Finds out by trying how a model is best asked: with tools, bound to a schema, or in plain text.
//!
//! Servers say that a model can call tools when its template mentions them; whether it does so under a prompt of an
//! agent's size only trying tells. The tries are the very prompts of the loop with a trifle for a goal, and what is
//! found is kept for each model.

use serde_json::Value;

use super::dialect;
use crate::llm::{
    Capabilities, ChatRequest, Llm, LlmError, Message, Progress, Reply, Role, Sampling, Support, Thinking,
    collect,
};
use crate::model::{Protocol, Temperature, Usage};
use crate::model_notes::ModelNotes;

/// The most tokens of a tried reply.
const TRY_TOKENS: u64 = 512;

/// How a model is asked, and what finding out cost.
#[derive(Debug, Clone)]
pub(crate) struct Probed {
    pub(crate) protocol: Protocol,
    pub(crate) capabilities: Capabilities,
    pub(crate) usage: Usage,
    /// What each try brought, in words.
    pub(crate) tries: Vec<(Protocol, Result<(), String>)>,
}

impl Probed {
    /// Returns what needs no finding out.
    pub(crate) fn known(protocol: Protocol, capabilities: Capabilities) -> Self {
        Self {
            protocol,
            capabilities,
            usage: Usage::default(),
            tries: Vec::new(),
        }
    }
}

/// Returns how the model is asked: as is known of it, as was found before, or as a probe finds now.
pub(crate) async fn protocol_of(
    llm: &dyn Llm,
    capabilities: Capabilities,
    notes: &ModelNotes,
    progress: Progress<'_>,
) -> Result<Probed, LlmError> {
    if let Some(protocol) = capabilities.protocol.or_else(|| notes.protocol(llm.name())) {
        return Ok(Probed::known(protocol, capabilities));
    }
    let probed = probe(llm, capabilities, progress).await?;
    notes.set_protocol(llm.name(), probed.protocol).await;
    Ok(probed)
}

/// Tries the protocols, the most able first, and returns the first that works; plain text where none does.
pub(crate) async fn probe(
    llm: &dyn Llm,
    capabilities: Capabilities,
    progress: Progress<'_>,
) -> Result<Probed, LlmError> {
    let mut probed = Probed::known(Protocol::Text, capabilities);
    let mut candidates = Vec::new();
    if capabilities.tools != Support::No {
        candidates.push(Protocol::Native);
    }
    candidates.push(Protocol::Text);
    if capabilities.schema != Support::No {
        candidates.push(Protocol::Schema);
    }
    for protocol in candidates {
        progress(&format!("trying the {protocol} protocol"));
        let tried = try_protocol(llm, protocol, &mut probed.usage).await?;
        let works = tried.is_ok();
        probed.tries.push((protocol, tried));
        if works {
            probed.protocol = protocol;
            break;
        }
    }
    Ok(probed)
}

/// A trifle that a model is asked for, and the call that does it.
struct Trifle {
    goal: &'static str,
    tool: fn(Protocol) -> &'static str,
    arguments: &'static [(&'static str, &'static str)],
}

/// What is tried of a model that calls tools: looking, and writing. One alone is done by models that fail in earnest.
const NATIVE: [Trifle; 2] = [
    Trifle {
        goal: "Call read_file to look at docs/notes.md. Do nothing else.",
        tool: |_| "read_file",
        arguments: &[("path", "docs/notes.md")],
    },
    Trifle {
        goal: "Call write_file to make notes/today.txt with the one line: rain",
        tool: |_| "write_file",
        arguments: &[("path", "notes/today.txt"), ("content", "rain")],
    },
];

/// What is tried of a model that is led.
const LED: [Trifle; 1] = [Trifle {
    goal: "Make notes/today.txt with the one line: rain",
    tool: |_| "change_file",
    arguments: &[("path", "notes/today.txt"), ("content", "rain")],
}];

/// Tries a protocol; the inner error says why it does not work.
async fn try_protocol(
    llm: &dyn Llm,
    protocol: Protocol,
    usage: &mut Usage,
) -> Result<Result<(), String>, LlmError> {
    let trifles: &[Trifle] = if dialect::is_led(protocol) { &LED } else { &NATIVE };
    for trifle in trifles {
        let reply = match ask(llm, protocol, trifle.goal).await {
            Ok(reply) => reply,
            // A server that refuses tools or schemas has answered the question.
            Err(LlmError::Refused { detail, .. }) if protocol != Protocol::Text => return Ok(Err(detail)),
            Err(error) => return Err(error),
        };
        usage.add(&Usage {
            calls: 1,
            prompt_tokens: reply.tokens.prompt.unwrap_or_default(),
            completion_tokens: reply.tokens.completion.unwrap_or_default(),
            cached_tokens: reply.tokens.cached.unwrap_or_default(),
            cost_micros: reply.tokens.cost_micros.unwrap_or_default(),
            ..Usage::default()
        });
        if let Err(why) = judge(protocol, trifle, &reply) {
            return Ok(Err(why));
        }
    }
    Ok(Ok(()))
}

async fn ask(llm: &dyn Llm, protocol: Protocol, goal: &str) -> Result<Reply, LlmError> {
    let opening = if dialect::is_led(protocol) {
        super::prompt::led::trifle(goal)
    } else {
        goal.to_owned()
    };
    let messages = vec![
        Message::new(Role::System, dialect::standing(protocol)),
        Message::new(Role::User, opening),
    ];
    let request = ChatRequest {
        messages: dialect::present(protocol, messages),
        tools: dialect::tools(protocol),
        max_tokens: TRY_TOKENS,
        format: dialect::format(protocol),
        sampling: Sampling {
            seed: Some(1),
            temperature: Some(Temperature::hundredths(0)),
        },
        thinking: Thinking::Off,
        ..ChatRequest::default()
    };
    let stream = llm.chat(request).await?;
    collect(stream, llm.name(), |_| {}).await
}

/// Returns whether the reply does the trifle by the protocol's own means.
fn judge(protocol: Protocol, trifle: &Trifle, reply: &Reply) -> Result<(), String> {
    let understood = dialect::understand(protocol, reply);
    if protocol == Protocol::Native && understood.in_text {
        return Err("it prints its calls into the text instead of making them".to_owned());
    }
    let Some(call) = understood.calls.first() else {
        return Err(understood
            .problem
            .unwrap_or_else(|| "its answer holds no act".to_owned()));
    };
    let tool = (trifle.tool)(protocol);
    if call.name != tool {
        return Err(format!("it called {} where {tool} was asked for", call.name));
    }
    let Ok(Value::Object(arguments)) = serde_json::from_str(&call.arguments) else {
        return Err(format!("the arguments of its {tool} are no JSON object"));
    };
    let is_right = |(key, expected): &(&str, &str)| {
        arguments.get(*key).and_then(Value::as_str).map(str::trim) == Some(expected)
    };
    match trifle.arguments.iter().find(|argument| !is_right(argument)) {
        Some((key, _)) => Err(format!(
            "the argument `{key}` of its {tool} is not what was asked for"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
