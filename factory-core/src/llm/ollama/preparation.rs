//! Making a model ready: finding it, choosing its window, loading it, and seeing what it was really loaded with.
//!
//! The window is the trap of this protocol. A server that is not told one takes what its memory suggests, often 4096
//! tokens, and a model that is asked for with two windows in turn is loaded anew each time. So one window is chosen here,
//! the model is loaded with it before the first question, and what the server then says is what counts.

use std::time::Duration;

use super::answers::ModelDetails;
use super::client::Ollama;
use super::wire::{KeepAlive, ThinkSwitch};
use crate::llm::{Capabilities, LlmError, Progress, Support, Window, WindowBasis};

/// The window of a model where neither the operator nor its Modelfile says one, in tokens.
///
/// Enough for an agent's instructions, its tools and some files at once, which 4096 and 8192 are not, and little enough
/// for the machines that models run on at home: a model of 7 billion parameters takes about 2 GB of memory for it, beside
/// the 5 GB of its weights. Those who have more memory set more.
pub const DEFAULT_CONTEXT: u64 = 32_768;

/// How often it is said that a model is still being loaded.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// The first version that binds replies to a schema.
const FIRST_WITH_SCHEMA: (u64, u64) = (0, 5);

/// A model that is ready, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prepared {
    pub(super) capabilities: Capabilities,
    pub(super) num_ctx: u64,
    pub(super) think: ThinkSwitch,
}

/// What is to be made ready.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    /// The model as the operator knows it.
    pub(super) shown: &'a str,
    /// The model as the server calls it.
    pub(super) model: &'a str,
    /// The window that the operator wants.
    pub(super) context: Option<u64>,
    pub(super) keep_alive: KeepAlive,
}

/// Makes a model ready.
pub(super) async fn prepare(
    server: &Ollama,
    wish: &Wish<'_>,
    progress: Progress<'_>,
) -> Result<Prepared, LlmError> {
    let shown = |error| shown_as(error, wish.shown);
    let version = server.version().await.map_err(shown)?;
    let details = server.show(wish.model).await.map_err(shown)?;
    if details.is_capable_of("completion") == Some(false) {
        return Err(LlmError::Unusable {
            model: wish.shown.to_owned(),
            detail: format!(
                "it cannot be talked to; {} says that it can: {}",
                server.endpoint(),
                details.capabilities.unwrap_or_default().join(", ")
            ),
        });
    }
    let choice = Choice::of(wish.context, &details);
    if let Some(note) = &choice.note {
        progress(note);
    }
    let window = if details.remote_host.is_some() {
        // It is loaded elsewhere, or always is.
        Window {
            tokens: choice.tokens,
            basis: choice.basis,
        }
    } else {
        load(server, wish, &choice, progress).await?
    };
    let windowed = Capabilities {
        window: Some(window),
        ..Capabilities::default()
    };
    Ok(Prepared {
        capabilities: Capabilities {
            tools: support(details.is_capable_of("tools")),
            schema: schema_support(&version),
            thinking: support(details.is_capable_of("thinking")),
            ..windowed
        },
        num_ctx: window.tokens,
        think: think_switch(&details),
    })
}

/// Gives an error about a model the name by which the operator knows it.
fn shown_as(error: LlmError, shown: &str) -> LlmError {
    match error {
        LlmError::Unusable { detail, .. } => LlmError::Unusable {
            model: shown.to_owned(),
            detail,
        },
        other => other,
    }
}

/// A window that is to be asked for.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    tokens: u64,
    /// How it would be known if nobody could verify it.
    basis: WindowBasis,
    /// What the operator should hear of it.
    note: Option<String>,
}

impl Choice {
    /// Chooses what the operator wants, else what the Modelfile sets, else the default; never more than the model was
    /// trained for, to which the server would shorten it without a word.
    fn of(wanted: Option<u64>, details: &ModelDetails) -> Self {
        let chosen = wanted.or(details.num_ctx).unwrap_or(DEFAULT_CONTEXT);
        let Some(trained) = details.context_length else {
            return Self {
                tokens: chosen,
                basis: WindowBasis::Declared,
                note: None,
            };
        };
        Self {
            tokens: chosen.min(trained),
            basis: WindowBasis::Told,
            note: wanted.filter(|&wanted| wanted > trained).map(|wanted| {
                format!("the model was trained for {trained} tokens, which is taken instead of {wanted}")
            }),
        }
    }
}

/// Loads the model and returns the window that it really has.
async fn load(
    server: &Ollama,
    wish: &Wish<'_>,
    choice: &Choice,
    progress: Progress<'_>,
) -> Result<Window, LlmError> {
    let mut tokens = choice.tokens;
    // The second time, where the server had no room for the first: so that it is loaded with what the requests will
    // say, and not again at the first of them.
    for _ in 0..2 {
        let loading = server.load(wish.model, Some(tokens), wish.keep_alive);
        let doing = format!("loading {} with a window of {tokens} tokens", wish.shown);
        with_signs_of_life(loading, &doing, progress)
            .await
            .map_err(|error| shown_as(error, wish.shown))?;
        match window_of(server, wish.model).await? {
            None => {
                return Ok(Window {
                    tokens,
                    basis: choice.basis,
                });
            }
            // More than was asked for is another's wish, and may be taken away.
            Some(loaded) if loaded >= tokens => break,
            Some(loaded) => {
                progress(&format!(
                    "{} gave it a window of {loaded} tokens instead of {tokens}; taking {loaded}",
                    server.endpoint()
                ));
                tokens = loaded;
            }
        }
    }
    Ok(Window {
        tokens,
        basis: WindowBasis::Verified,
    })
}

/// Returns the window that the model is loaded with; none if the server does not say, or has unloaded it already.
async fn window_of(server: &Ollama, model: &str) -> Result<Option<u64>, LlmError> {
    match server.loaded(model).await {
        Ok(loaded) => Ok(loaded.and_then(|loaded| loaded.context_length)),
        // The server is older than the question.
        Err(LlmError::Refused {
            status: 404 | 405, ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits for something, and says from time to time that it is still waited for.
async fn with_signs_of_life<T>(
    waited_for: impl Future<Output = T>,
    doing: &str,
    progress: Progress<'_>,
) -> T {
    progress(doing);
    let mut waited_for = std::pin::pin!(waited_for);
    let mut seconds = 0;
    loop {
        if let Ok(result) = tokio::time::timeout(SIGN_OF_LIFE, &mut waited_for).await {
            return result;
        }
        seconds += SIGN_OF_LIFE.as_secs();
        progress(&format!("{doing}: {seconds} s so far"));
    }
}

fn support(told: Option<bool>) -> Support {
    match told {
        Some(true) => Support::Yes,
        Some(false) => Support::No,
        None => Support::Unknown,
    }
}

fn schema_support(version: &str) -> Support {
    let mut numbers = version.split('.').map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        // A build of somebody's own calls itself 0.0.0.
        (Some(Ok(0)), Some(Ok(0))) => Support::Unknown,
        (Some(Ok(major)), Some(Ok(minor))) => support(Some((major, minor) >= FIRST_WITH_SCHEMA)),
        _ => Support::Unknown,
    }
}

fn think_switch(details: &ModelDetails) -> ThinkSwitch {
    let is_of = |family: &str| {
        [&details.architecture, &details.build.family]
            .iter()
            .any(|name| name.as_deref() == Some(family))
    };
    match details.is_capable_of("thinking") {
        Some(true) if is_of("gptoss") || is_of("gpt-oss") => ThinkSwitch::Levels,
        Some(true) => ThinkSwitch::OnOff,
        _ => ThinkSwitch::None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn the_window_is_chosen_within_what_the_model_was_trained_for() {
        use WindowBasis::{Declared, Told};
        for (wanted, modelfile, trained, tokens, basis, is_noted) in [
            (None, None, None, DEFAULT_CONTEXT, Declared, false),
            (None, None, Some(131_072), DEFAULT_CONTEXT, Told, false),
            (None, None, Some(8192), 8192, Told, false),
            (None, Some(16_384), Some(131_072), 16_384, Told, false),
            (None, Some(65_536), Some(8192), 8192, Told, false),
            (Some(65_536), Some(16_384), Some(131_072), 65_536, Told, false),
            (Some(65_536), None, Some(8192), 8192, Told, true),
            (Some(65_536), Some(4096), None, 65_536, Declared, false),
        ] {
            let details = ModelDetails {
                num_ctx: modelfile,
                context_length: trained,
                ..ModelDetails::default()
            };
            let choice = Choice::of(wanted, &details);
            assert_eq!(
                (choice.tokens, choice.basis, choice.note.is_some()),
                (tokens, basis, is_noted),
                "{wanted:?} {modelfile:?} {trained:?}"
            );
        }
    }

    #[test]
    fn schemas_came_with_a_version() {
        for (version, expect) in [
            ("0.32.14", Support::Yes),
            ("0.5.0-rc1", Support::Yes),
            ("1.0", Support::Yes),
            ("0.4.7", Support::No),
            ("0.0.0", Support::Unknown),
            ("main", Support::Unknown),
            ("", Support::Unknown),
        ] {
            assert_eq!(schema_support(version), expect, "{version}");
        }
    }

    #[test]
    fn thinking_is_switched_as_the_model_understands() {
        for (capabilities, family, expect) in [
            (None, "qwen3", ThinkSwitch::None),
            (Some(vec!["completion"]), "qwen3", ThinkSwitch::None),
            (Some(vec!["completion", "thinking"]), "qwen3", ThinkSwitch::OnOff),
            (Some(vec!["thinking"]), "gptoss", ThinkSwitch::Levels),
        ] {
            let details = ModelDetails {
                architecture: Some(family.to_owned()),
                capabilities: capabilities.map(|words| words.into_iter().map(str::to_owned).collect()),
                ..ModelDetails::default()
            };
            assert_eq!(think_switch(&details), expect, "{details:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_shows_signs_of_life() {
        let told = Mutex::new(Vec::new());
        let progress = |words: &str| told.lock().unwrap().push(words.to_owned());
        let load = tokio::time::sleep(Duration::from_secs(25));
        with_signs_of_life(load, "loading m", &progress).await;
        assert_eq!(
            told.into_inner().unwrap(),
            ["loading m", "loading m: 10 s so far", "loading m: 20 s so far"]
        );
    }
}
