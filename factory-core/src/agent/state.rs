//! What a run's events amount to: the folded state from which the next act follows. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::prompt::earlier::comment;
use crate::model::payload::{
    self, ApprovalRequested, CheckFinished, CheckStarted, CommitCreated, LlmFailure, LlmRequested,
    LlmResponded, MessageRef, ModelReady, Operation, Role, ToolFinished,
};
use crate::model::{
    ApprovalSubject, BlobId, Decision, DecisionKind, Event, EventKind, Plan, Protocol, RunSpec, RunStatus,
    Seq, Start, StepId, Timestamp, TreeId, Usage,
};
use crate::tools::Tool;

mod parts;

pub(crate) use self::parts::{
    Approved, Batch, Checkpoint, Forgotten, Pending, RepairReason, Setup, ToolPlace,
};

/// The fold of a run's events.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) seq: Seq,
    pub(crate) status: Option<RunStatus>,
    pub(crate) goal: String,
    pub(crate) spec: RunSpec,
    pub(crate) usage: Usage,
    pub(crate) setup: Setup,
    /// How the model is asked, once it was made ready.
    pub(crate) model: Option<ModelReady>,

    pub(crate) plan: Option<Plan>,
    pub(crate) active_step: Option<StepId>,
    pub(crate) finished_steps: BTreeSet<StepId>,
    next_step: u32,

    pub(crate) conversation: Vec<MessageRef>,
    /// For each message of the conversation that is a tool's result, the call that it answers.
    pub(crate) origins: Vec<Option<ToolPlace>>,
    /// For each message of the conversation, the call that it was sent with, or that it answers.
    pub(crate) turns: Vec<u64>,
    /// Results that are stubs in the prompt.
    pub(crate) dropped: BTreeSet<ToolPlace>,
    /// The turns that left the prompt, and what is said in their place.
    pub(crate) forgotten: Option<Forgotten>,
    /// Calls of a led model that came to nothing. They leave the prompt once another one follows: small models repeat
    /// what they see themselves doing.
    pub(crate) fruitless: BTreeSet<u64>,
    /// Those of them that gave a file as it is.
    pub(crate) copies: BTreeSet<u64>,
    /// The files that were given as they are. Their content leaves the opening, because a small model that sees a text
    /// copies it.
    pub(crate) copied: BTreeSet<String>,
    /// What the operator has directed so far and the model has heard.
    pub(crate) heard: Vec<String>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) calls: u64,
    /// A request is stored and its outcome is not.
    pub(crate) call_in_flight: Option<LlmRequested>,
    pub(crate) transient_failures: u32,
    /// What the newest of them said.
    pub(crate) last_failure: String,
    pub(crate) lost_calls: u32,
    pub(crate) refusal: Option<String>,
    pub(crate) overflow: Option<String>,
    /// Replies in a row that reached their bound.
    pub(crate) cut_replies: u32,
    pub(crate) text_only_replies: u32,
    /// Replies in a row that held no act, of a model that is led.
    pub(crate) misunderstood: u32,
    /// What has gone wrong since something went right, for a model that is led: the more, the freer it is to vary.
    pub(crate) setbacks: u32,

    pub(crate) batch: Option<Batch>,
    pub(crate) failed_edits: BTreeMap<String, u32>,
    /// The same for files that were given whole and left parts out.
    pub(crate) refused_wholes: BTreeMap<String, u32>,
    repeats: HashMap<BlobId, u32>,
    pub(crate) stuck: Option<String>,

    pub(crate) checkpoints: u32,
    pub(crate) checkpoint: Option<Checkpoint>,

    pub(crate) check_started: Option<CheckStarted>,
    /// How the checks went before anything was changed.
    pub(crate) base_check: Option<CheckFinished>,
    /// A file was changed since the checks ran.
    pub(crate) unproven_change: bool,
    pub(crate) rounds: u32,
    pub(crate) red_rounds: u32,
    /// The newest check, while it still speaks of what is in the checkout.
    pub(crate) proof: Option<(Seq, CheckFinished)>,
    pub(crate) last_check: Option<CheckFinished>,

    pub(crate) asked: Option<ApprovalRequested>,
    pub(crate) answer: Option<(ToolPlace, Decision)>,
    pub(crate) approved: Option<Approved>,
    pub(crate) rejected: bool,
    pub(crate) commit: Option<CommitCreated>,
    pub(crate) operation: Option<Operation>,
    pub(crate) published: Option<payload::BranchPublished>,

    pub(crate) warned: BTreeSet<String>,
    pub(crate) recoveries: u32,
}

/// How often the same call with the same result is borne before the model is told.
pub(crate) const REPEATS_BORNE: u32 = 3;

impl State {
    /// Returns the fold of a run's whole history.
    pub(crate) fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self {
            next_step: 1,
            ..Self::default()
        };
        for event in events {
            state.apply(event);
        }
        state
    }

    /// Adds the next event. Events that this program does not know change nothing.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each type reads best in one place"
    )]
    pub(crate) fn apply(&mut self, event: &Event) {
        self.seq = event.seq;
        self.usage.add(&event.kind.usage());
        if let Some(transition) = event.kind.transition() {
            // The store holds no event that was refused; one of a newer factory may still say more than is known here.
            self.status = self
                .status
                .and_then(|status| status.after(transition).ok())
                .or(self.status);
        }
        match &event.kind {
            EventKind::RunCreated(created) => {
                self.status = Some(RunStatus::Queued);
                self.goal.clone_from(&created.goal);
                self.spec = created.spec.clone();
                self.pending.push(Pending::Opening);
            }
            EventKind::RunRecovered(_) => self.recoveries += 1,
            EventKind::RunResumed(_) => self.forgive(),
            EventKind::BudgetRaised(raised) => {
                self.spec.budget = raised.budget;
                self.warned.clear();
            }
            EventKind::BudgetWarned(warned) => {
                self.warned.insert(warned.limit.clone());
            }
            EventKind::DirectiveReceived(directive) => {
                self.pending.push(Pending::Directive {
                    seq: event.seq,
                    text: directive.text.clone(),
                });
            }
            EventKind::ReviewCommented(commented) => {
                self.pending.push(Pending::Directive {
                    seq: event.seq,
                    text: comment(&commented.comment),
                });
            }
            EventKind::SetupFinished(finished) => {
                self.setup = Setup::Done(finished.clone());
                self.recoveries = 0;
            }
            EventKind::ModelReady(ready) => {
                self.model = Some(ready.clone());
                self.transient_failures = 0;
                self.recoveries = 0;
            }
            EventKind::LlmRequested(requested) => self.requested(requested),
            EventKind::LlmResponded(responded) => self.responded(responded),
            EventKind::LlmFailed(failed) => {
                self.call_in_flight = None;
                match failed.failure {
                    LlmFailure::Cut => {}
                    LlmFailure::Lost => self.lost_calls += 1,
                    LlmFailure::Transient => {
                        self.transient_failures += 1;
                        self.last_failure.clone_from(&failed.detail);
                    }
                    LlmFailure::Overflow => self.overflow = Some(failed.detail.clone()),
                    LlmFailure::Permanent => self.refusal = Some(failed.detail.clone()),
                }
            }
            EventKind::ContextCompacted(compacted) => {
                self.dropped.extend(compacted.dropped.iter().copied());
                if let Some(forgotten) = &compacted.forgotten {
                    self.forgotten = Some(Forgotten {
                        before: forgotten.before,
                        summary: forgotten.summary.clone(),
                    });
                }
            }
            EventKind::PlanGenerated(generated) => self.adopt(&generated.plan),
            EventKind::PlanRevised(revised) => self.adopt(&revised.plan),
            EventKind::StepStarted(started) => {
                self.active_step = Some(started.step);
                self.text_only_replies = 0;
                self.pending.push(Pending::StepBegins(started.step));
            }
            EventKind::StepFinished(finished) => {
                self.finished_steps.insert(finished.step);
                self.active_step = None;
                self.text_only_replies = 0;
                // The step is not to be gone on with, and steps that end are no loop, however alike they end.
                self.pending.retain(|pending| *pending != Pending::NoToolCall);
                self.repeats.clear();
            }
            EventKind::ToolStarted(started) => {
                if let Some(batch) = &mut self.batch {
                    batch.started = Some(started.clone());
                }
                if started.effect != payload::EffectClass::Read {
                    self.proof = None;
                }
            }
            EventKind::ToolFinished(finished) => self.tool_finished(finished),
            EventKind::FileChanged(changed) => {
                self.unproven_change = true;
                self.failed_edits.remove(&changed.path);
                self.refused_wholes.remove(&changed.path);
                self.repeats.clear();
            }
            EventKind::LoopDetected(detected) => {
                let told = Pending::Loop {
                    tool: detected.tool.clone(),
                };
                // Who repeats itself within one reply has not been told yet.
                if detected.count > REPEATS_BORNE && !self.pending.contains(&told) {
                    self.stuck = Some(detected.tool.clone());
                } else if !self.pending.contains(&told) {
                    self.pending.push(told);
                }
            }
            EventKind::CheckpointCreated(created) => {
                self.checkpoints = created.checkpoint;
                self.checkpoint = Some(Checkpoint {
                    commit: created.commit.clone(),
                    tree: created.tree.clone(),
                });
            }
            EventKind::CheckStarted(started) => self.check_started = Some(started.clone()),
            EventKind::CheckFinished(finished) => self.checked(event.seq, finished),
            EventKind::ApprovalRequested(requested) => self.asked = Some(requested.clone()),
            EventKind::ApprovalDecided(decided) => {
                self.decided(&decided.subject, &decided.decision, event.created_at);
            }
            EventKind::CommitCreated(created) => self.commit = Some(created.clone()),
            EventKind::OperationStarted(started) => self.operation = Some(started.operation.clone()),
            EventKind::OperationFinished(_) => self.operation = None,
            EventKind::BranchPublished(published) => self.published = Some(published.clone()),
            _ => {}
        }
    }

    /// The operator says go on: what counted against the run counts anew.
    fn forgive(&mut self) {
        self.recoveries = 0;
        self.transient_failures = 0;
        self.lost_calls = 0;
        self.refusal = None;
        self.overflow = None;
        self.cut_replies = 0;
        self.misunderstood = 0;
        self.stuck = None;
        self.repeats.clear();
        if matches!(&self.setup, Setup::Done(finished) if !finished.ok) {
            self.setup = Setup::Due;
        }
    }

    fn requested(&mut self, requested: &LlmRequested) {
        let mut results = self.pending.iter().filter_map(|pending| match pending {
            Pending::ToolResult { place, .. } => Some(*place),
            _ => None,
        });
        for message in &requested.appended {
            self.origins.push(if message.role == Role::Tool {
                results.next()
            } else {
                None
            });
            self.conversation.push(message.clone());
            self.turns.push(requested.call);
        }
        self.heard
            .extend(self.pending.iter().filter_map(|pending| match pending {
                Pending::Directive { text, .. } => Some(text.clone()),
                _ => None,
            }));
        if self
            .pending
            .iter()
            .any(|pending| matches!(pending, Pending::Directive { .. }))
        {
            // What the operator directed stays where it was said.
            self.fruitless.remove(&self.calls);
        }
        self.calls = requested.call;
        self.pending.clear();
        self.call_in_flight = Some(requested.clone());
    }

    fn responded(&mut self, responded: &LlmResponded) {
        self.call_in_flight = None;
        self.transient_failures = 0;
        self.lost_calls = 0;
        self.recoveries = 0;
        self.conversation.push(MessageRef {
            role: Role::Assistant,
            blob: responded.reply.clone(),
            tool_call_id: None,
        });
        self.origins.push(None);
        self.turns.push(responded.call);
        let cut = responded.tool_calls.is_empty() && responded.end == payload::EndReason::Length;
        self.cut_replies = if cut { self.cut_replies + 1 } else { 0 };
        let understood = !responded.tool_calls.is_empty();
        if self.is_led() {
            self.misunderstood = if understood { 0 } else { self.misunderstood + 1 };
            self.setbacks += u32::from(!understood);
            if !understood {
                self.fruitless.insert(responded.call);
            }
        }
        if cut {
            self.pending.push(Pending::CutReply);
        } else if !understood && (self.is_led() || responded.misunderstood.is_some()) {
            self.text_only_replies += u32::from(!self.is_led());
            self.pending.push(Pending::NotUnderstood {
                problem: responded.misunderstood.clone(),
            });
        } else if responded.tool_calls.is_empty() {
            self.text_only_replies += 1;
            self.pending.push(if self.plan.is_none() {
                Pending::NoPlan
            } else {
                Pending::NoToolCall
            });
        } else {
            self.text_only_replies = 0;
            self.batch = Some(Batch {
                call: responded.call,
                reply: responded.reply.clone(),
                tools: responded.tool_calls.clone(),
                done: 0,
                failed: 0,
                copies: false,
                started: None,
            });
        }
    }

    fn adopt(&mut self, plan: &Plan) {
        // What the reply lacked is there now.
        self.pending.retain(|pending| *pending != Pending::NoPlan);
        self.next_step = plan
            .steps
            .iter()
            .map(|step| step.id.0 + 1)
            .max()
            .unwrap_or(1)
            .max(self.next_step);
        let finished = self.plan.iter().flat_map(|plan| &plan.steps);
        let mut steps: Vec<_> = finished
            .filter(|step| self.finished_steps.contains(&step.id))
            .cloned()
            .collect();
        steps.extend(plan.steps.iter().cloned());
        self.plan = Some(Plan { steps });
        self.active_step = None;
        self.text_only_replies = 0;
        self.proof = None;
        self.rejected = false;
    }

    fn tool_finished(&mut self, finished: &ToolFinished) {
        self.recoveries = 0;
        self.answer = None;
        if let Some(path) = &finished.failed_edit {
            let is_whole = [Tool::WriteFile, Tool::ChangeFile]
                .map(Tool::name)
                .contains(&finished.tool.as_str());
            let failures = if is_whole {
                &mut self.refused_wholes
            } else {
                &mut self.failed_edits
            };
            *failures.entry(path.clone()).or_default() += 1;
        }
        *self.repeats.entry(finished.fingerprint.clone()).or_default() += 1;
        self.setbacks += u32::from(!finished.ok);
        let Some(batch) = &mut self.batch else { return };
        let id = batch
            .tools
            .get(finished.index as usize)
            .map(|tool| tool.id.clone())
            .unwrap_or_default();
        batch.started = None;
        batch.done = finished.index + 1;
        batch.failed += u32::from(!finished.ok && finished.tool != Tool::RunCommand.name());
        if let Some(path) = &finished.unchanged {
            batch.copies = true;
            self.copied.insert(path.clone());
        }
        if batch.done as usize >= batch.tools.len() {
            let (came_to_nothing, copies) = (batch.failed == batch.done, batch.copies);
            if came_to_nothing && self.is_led() {
                self.fruitless.insert(finished.call);
                if copies {
                    self.copies.insert(finished.call);
                }
            }
            self.batch = None;
        }
        self.pending.push(Pending::ToolResult {
            place: (finished.call, finished.index),
            id,
            result: finished.result.clone(),
        });
    }

    fn checked(&mut self, seq: Seq, finished: &CheckFinished) {
        self.recoveries = 0;
        self.check_started = None;
        self.rounds = finished.round;
        self.unproven_change = false;
        self.proof = Some((seq, finished.clone()));
        self.last_check = Some(finished.clone());
        if self.calls == 0 {
            // Nothing was asked yet: this is what the work begins with.
            self.base_check = Some(finished.clone());
            return;
        }
        if finished.green {
            self.setbacks = 0;
            if self.was_green() && self.is_led() && self.active_step.is_some() {
                self.pending.push(Pending::ChecksGreen(finished.clone()));
            }
        } else if !finished.results.is_empty() {
            self.red_rounds += 1;
            self.setbacks += 1;
            self.pending.push(Pending::ChecksRed(finished.clone()));
        }
    }

    /// Returns how the model is asked. A run of an older factory, which knew one way, goes on in that.
    pub(crate) fn protocol(&self) -> Protocol {
        self.model
            .as_ref()
            .map_or(Protocol::Native, |model| model.protocol)
    }

    /// Whether the factory leads the model act by act.
    pub(crate) fn is_led(&self) -> bool {
        super::dialect::is_led(self.protocol())
    }

    /// Whether the checks were green before anything was changed, so that green ones say little of the goal.
    pub(crate) fn was_green(&self) -> bool {
        self.base_check.as_ref().is_some_and(|check| check.green)
    }

    fn decided(&mut self, subject: &ApprovalSubject, decision: &Decision, at: Timestamp) {
        let asked = self.asked.take();
        match (subject, decision.kind) {
            (
                ApprovalSubject::Tree {
                    base, tree, message, ..
                },
                DecisionKind::Approved,
            ) => {
                self.approved = Some(Approved {
                    base: base.clone(),
                    tree: tree.clone(),
                    message: decision.text.clone().unwrap_or_else(|| message.clone()),
                    at,
                });
            }
            (ApprovalSubject::Tree { .. }, _) => {
                self.rejected = true;
                self.red_rounds = 0;
                self.pending.push(Pending::Rejected {
                    reason: decision.text.clone().unwrap_or_default(),
                });
            }
            _ => {
                let place = asked.and_then(|asked| asked.tool);
                self.answer = place.map(|place| (place, decision.clone()));
            }
        }
    }

    /// Returns the earlier work that the checkout begins with, where that is more than the base.
    pub(crate) fn start(&self) -> Option<&Start> {
        self.spec.origin.as_ref()?.start.as_ref()
    }

    /// Returns the tree that the work is compared with.
    pub(crate) fn base_tree(&self) -> Option<&TreeId> {
        match &self.setup {
            Setup::Done(finished) => Some(&finished.base_tree),
            Setup::Due => None,
        }
    }

    /// Returns how often the call with this fingerprint has brought the same result.
    pub(crate) fn repeats(&self, fingerprint: &BlobId) -> u32 {
        self.repeats.get(fingerprint).copied().unwrap_or_default()
    }

    /// Returns a plan of new steps, numbered after all that there were.
    pub(crate) fn new_plan(&self, titles: impl IntoIterator<Item = String>) -> Plan {
        Plan::numbered(self.next_step, titles)
    }

    /// Returns the first step that is not finished.
    pub(crate) fn next_unfinished(&self) -> Option<&crate::model::Step> {
        self.plan
            .as_ref()?
            .steps
            .iter()
            .find(|step| !self.finished_steps.contains(&step.id))
    }

    /// Returns the directives that the model has not heard.
    pub(crate) fn directives(&self) -> Vec<Seq> {
        let directives = self.pending.iter().filter_map(|pending| match pending {
            Pending::Directive { seq, .. } => Some(*seq),
            _ => None,
        });
        directives.collect()
    }
}
