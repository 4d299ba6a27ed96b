//! What enters the prompt and how much of it: the room in the model's window, what is known of the repository, and what
//! leaves when it gets too full.

use super::{Driver, Then};
use crate::agent::conversation::{self, Conversation, estimate};
use crate::agent::dialect;
use crate::agent::prompt::{self, Surroundings};
use crate::error::Error;
use crate::journal::Entry;
use crate::llm::{ChatRequest, Message};
use crate::model::payload::{ContextCompacted, ForgottenTurns};
use crate::model::{NewEvent, Sampling, StatusReason, Temperature};
use crate::tools;

/// The most tokens that a reply may have; less where the window is small.
const REPLY_TOKENS: u64 = 8192;

/// The most tokens of a reply of a model that is led: one act.
const LED_REPLY_TOKENS: u64 = 1536;

/// What is left free of the window for what an estimate misses, as a fraction of it.
const MARGIN: u64 = 20;

/// The share of the room to which an overfull prompt is cut in one step, in percent.
const COMPACT_TO: u64 = 60;

/// The least bytes of a text that are shown, however small the window is.
const SMALLEST_BOUND: usize = 1 << 10;

/// The temperature at which a led model begins, in hundredths: small models write the likeliest code best.
const FIRST_TEMPERATURE: u8 = 20;
/// How much freer it is drawn after each setback, in hundredths: what failed once fails again at the same place.
const FREER: u8 = 20;
/// How many setbacks make it freer.
const FREER_TIMES: u8 = 3;

impl Driver {
    /// Returns the request of the next call.
    pub(super) fn request(&self, new: &[Message]) -> ChatRequest {
        let protocol = self.state.protocol();
        ChatRequest {
            messages: dialect::present(protocol, self.conversation.prompt(&self.state, new)),
            tools: dialect::tools(protocol),
            max_tokens: self.reply_tokens(),
            format: dialect::format(protocol),
            sampling: self.sampling(),
            replies_before: Some(self.conversation.replies()),
            ..ChatRequest::default()
        }
    }

    /// Returns how the next reply is drawn: as the run says, and for a led model the more freely the more went wrong.
    fn sampling(&self) -> Sampling {
        let spec = self.state.spec.sampling;
        let led = self.state.is_led().then(|| {
            let setbacks = u8::try_from(self.state.setbacks)
                .unwrap_or(FREER_TIMES)
                .min(FREER_TIMES);
            Temperature::hundredths(FIRST_TEMPERATURE + FREER * setbacks)
        });
        Sampling {
            seed: spec.seed.map(|seed| seed.wrapping_add(self.state.calls)),
            temperature: spec.temperature.or(led),
        }
    }

    /// Returns the size of a request in tokens, as estimated and as the model's counts have taught.
    pub(super) fn tokens(&self, request: &ChatRequest) -> u64 {
        self.equipment
            .notes
            .tokens(self.equipment.llm.name(), estimate(request))
    }

    fn window(&self) -> Option<u64> {
        let ready = self.state.model.as_ref().and_then(|model| model.window);
        ready.or_else(|| self.equipment.llm.capabilities().context_window())
    }

    pub(super) fn reply_tokens(&self) -> u64 {
        let most = if self.state.is_led() {
            LED_REPLY_TOKENS
        } else {
            REPLY_TOKENS
        };
        self.window().map_or(most, |window| most.min(window / 4).max(256))
    }

    /// Returns how many tokens the prompt may have; none where nobody told the window.
    pub(super) fn room(&self) -> Option<u64> {
        let window = self.window()?;
        Some(
            window
                .saturating_sub(self.reply_tokens())
                .saturating_sub(window / MARGIN),
        )
    }

    /// Returns how many bytes a text that enters the prompt may have: three results and what stays have to fit.
    pub(in crate::agent) fn text_bound(&self) -> usize {
        let room = self
            .room()
            .map_or(usize::MAX, |room| usize::try_from(room).unwrap_or(usize::MAX));
        room.clamp(SMALLEST_BOUND, tools::MAX_RESULT)
    }

    /// Returns a text as it may enter the prompt: its middle cut visibly where it is too long, or too rich in tokens.
    pub(in crate::agent) fn fitted(&self, text: &str, share: usize) -> String {
        let most = self.room().map(|room| room / 3 / share as u64);
        let mut limit = self.text_bound() / share;
        loop {
            let shown = tools::bounded(text, limit);
            let tokens = crate::context::estimate(&shown);
            match most {
                Some(most) if tokens > most && limit > SMALLEST_BOUND / 4 => {
                    let shorter = u64::try_from(limit).unwrap_or(u64::MAX) * most / tokens;
                    limit = usize::try_from(shorter).unwrap_or(limit).min(limit * 9 / 10);
                }
                _ => return shown,
            }
        }
    }

    pub(super) async fn surroundings(&self) -> Result<Surroundings, Error> {
        let mut surroundings = Surroundings {
            checks: self.checks().to_vec(),
            folder: self.equipment.ground.project.settings.folder.clone(),
            instructions: self.equipment.ground.project.settings.instructions.clone(),
            ..Surroundings::default()
        };
        if let Some(tree) = self.state.base_tree() {
            let ground = &self.equipment.ground;
            let most = prompt::AGENTS_FILE.min(self.text_bound());
            let own = surroundings.folder.iter();
            let own = own.map(|folder| format!("{folder}/AGENTS.md"));
            for name in std::iter::once("AGENTS.md".to_owned()).chain(own) {
                let (vcs, store) = (&ground.vcs, ground.store());
                let agents = vcs.read_file(&store, tree, &name, most).await?;
                if let Some(agents) = agents {
                    let text = surroundings.agents_file.get_or_insert_default();
                    text.push_str(&String::from_utf8_lossy(&agents));
                    text.push('\n');
                }
            }
        }
        if let Some(check) = &self.state.base_check {
            for result in &check.results {
                let output = self.equipment.journal.store().blob(&result.output).await?;
                let text = String::from_utf8_lossy(&output).into_owned();
                let bounded = self.fitted(&text, 2);
                surroundings.base_outputs.insert(result.output.clone(), bounded);
            }
        }
        let mut checkout = self.equipment.place().checkout().dir;
        checkout.extend(&surroundings.folder);
        let listed =
            tokio::task::spawn_blocking(move || crate::agent::driver::prepare::top_level(&checkout)).await;
        surroundings.top_level = listed.unwrap_or_default();
        surroundings.survey = self.survey(&surroundings).await?;
        Ok(surroundings)
    }

    /// Makes room: old results become stubs, and where that is too little whole old turns leave the prompt.
    pub(super) async fn compact(
        &mut self,
        before: u64,
        room: u64,
        request: &ChatRequest,
        new: &[Message],
    ) -> Result<Then, Error> {
        let goal = room * COMPACT_TO / 100;
        let measure = |state: &crate::agent::State| {
            let messages = dialect::present(state.protocol(), self.conversation.prompt(state, new));
            self.tokens(&ChatRequest {
                messages,
                ..request.clone()
            })
        };
        let mut after = self.state.clone();
        let dropped = self
            .conversation
            .droppable(&self.state, new, before.saturating_sub(goal));
        after.dropped.extend(dropped.iter().copied());
        let mut size = measure(&after);
        let mut forgotten = None;
        if size > room {
            let summary = prompt::forgotten(&self.state);
            for turn in Conversation::turns_to_forget(&self.state) {
                after.forgotten = Some(crate::agent::state::Forgotten {
                    before: turn,
                    summary: summary.clone(),
                });
                size = measure(&after);
                forgotten = Some(ForgottenTurns {
                    before: turn,
                    summary: summary.clone(),
                });
                if size <= goal {
                    break;
                }
            }
        }
        if size > room || size >= before {
            let detail = format!(
                "the prompt has about {before} tokens and the model's window leaves room for {room}; the largest part is {}",
                conversation::largest_part(request)
            );
            return self.park(StatusReason::ContextFull, detail).await;
        }
        self.note(Entry::one(NewEvent::system(ContextCompacted {
            dropped,
            forgotten,
            before,
            after: size,
        })))
        .await
    }
}
