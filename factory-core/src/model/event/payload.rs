//! What each event type says. Texts that can be long stand in the blob store under their [`BlobId`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{
    ApprovalId, ApprovalSubject, BlobId, Budget, Comment, CommitId, Decision, Fence, Plan, ProjectId,
    Protocol, RunSpec, Sampling, Seq, SetupNetwork, StatusReason, StepId, TreeId, Usage, WorkerId,
};

/// The run was filed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunCreated {
    /// The project.
    pub project_id: ProjectId,
    /// What is to be reached.
    pub goal: String,
    /// How it is to be done.
    pub spec: RunSpec,
}

/// A worker claimed the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunStarted {
    /// Who claimed it.
    pub worker: WorkerId,
    /// The claim's number.
    pub fence: Fence,
}

/// The run rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunPaused {
    /// Why.
    pub reason: StatusReason,
    /// The reason in words, with what to do.
    pub detail: Option<String>,
    /// The status that an older factory had stored, where it is not one of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_status: Option<String>,
}

/// The run is to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunResumed {}

/// The operator ended the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunStopped {
    /// The operator's reason.
    pub detail: Option<String>,
}

/// The worker gave the run back to the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunReleased {
    /// Why.
    pub detail: String,
}

/// The run's worker was gone; it is back in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecovered {
    /// The worker that is gone.
    pub worker: Option<WorkerId>,
}

/// The goal is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunComplete {
    /// The commit; none where the goal needed no change.
    pub commit: Option<CommitId>,
    /// The branch in the operator's repository.
    pub branch: Option<String>,
}

/// The run cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunFailed {
    /// Why.
    pub reason: StatusReason,
    /// The reason in words, with what to do.
    pub detail: String,
}

/// The operator steers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DirectiveReceived {
    /// What the operator says.
    pub text: String,
}

/// Directives entered the prompt of a model call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DirectiveDelivered {
    /// The events that brought them.
    pub directives: Vec<Seq>,
    /// The call that carries them.
    pub call: u64,
}

/// The operator is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRequested {
    /// The approval record.
    pub approval: ApprovalId,
    /// What is asked.
    pub subject: ApprovalSubject,
    /// The tool call that asks, as (model call, index), where one does.
    pub tool: Option<(u64, u32)>,
}

/// The operator decided. An automatic approval of an unattended run is decided by `system`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalDecided {
    /// The approval record; none where policy decided without asking.
    pub approval: Option<ApprovalId>,
    /// What was asked.
    pub subject: ApprovalSubject,
    /// What was decided.
    pub decision: Decision,
}

/// The operator commented on the run's changes. The agent hears it as it hears a directive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReviewCommented {
    /// On what, and what was said.
    #[serde(flatten)]
    pub comment: Comment,
}

/// The run may spend more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetRaised {
    /// The bounds from now on.
    pub budget: Budget,
}

/// The model is ready to be asked, and this is how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelReady {
    /// The model.
    pub model: String,
    /// How it is asked.
    pub protocol: Protocol,
    /// How many tokens prompt and reply may have together; none where nobody said.
    pub window: Option<u64>,
    /// Whether the server says that the model is loaded with this window.
    pub window_verified: bool,
    /// What loading it and trying its protocols cost.
    pub usage: Usage,
}

/// Whose words a message of the conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The factory's standing instructions.
    System,
    /// The operator's, or the factory's in the course of the run.
    User,
    /// The model's.
    Assistant,
    /// A tool's result.
    Tool,
}

/// A message of the conversation, by reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageRef {
    /// Whose words it is.
    pub role: Role,
    /// The text; for the assistant's the whole reply as JSON.
    pub blob: BlobId,
    /// The tool call that it answers, where it is a tool's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// A model call is about to be made. The call's prompt is what earlier requests appended, their replies, and this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LlmRequested {
    /// The call's number within the run, from 1.
    pub call: u64,
    /// The model.
    pub model: String,
    /// What is new since the last request. Empty where the same prompt is asked again.
    pub appended: Vec<MessageRef>,
    /// The most tokens that the reply may have.
    pub max_tokens: u64,
    /// How the reply is drawn.
    #[serde(default, skip_serializing_if = "Sampling::is_default")]
    pub sampling: Sampling,
    /// The SHA-256 of the whole request as sent: messages, tools and parameters.
    pub prompt_hash: BlobId,
    /// The size of the prompt in tokens, estimated.
    pub prompt_estimate: u64,
}

/// A tool call in a reply, without its arguments, which stand in the reply's blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolCallRef {
    /// The call's id, as the model gave it or as it was made up for it.
    pub id: String,
    /// The tool's name.
    pub name: String,
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The model was done.
    Stop,
    /// The model waits for its tool calls.
    ToolCalls,
    /// The reply reached its bound and is cut.
    Length,
    /// The provider's filter cut it.
    ContentFilter,
    /// Something else, or nothing was said.
    Other,
}

/// A model's whole reply was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LlmResponded {
    /// The call.
    pub call: u64,
    /// The reply as JSON.
    pub reply: BlobId,
    /// Its tool calls in order.
    pub tool_calls: Vec<ToolCallRef>,
    /// Whether it has any text.
    pub has_text: bool,
    /// Whether the calls were read out of the text: the server knew of none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub calls_in_text: bool,
    /// Why the text could not be understood as a call, where it looks like one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misunderstood: Option<String>,
    /// Why it ended.
    pub end: EndReason,
    /// What it cost.
    pub usage: Usage,
}

/// How a model call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LlmFailure {
    /// Pause or stop dropped the connection.
    Cut,
    /// The process died while the call was in flight; whether it was paid for is unknown.
    Lost,
    /// It may succeed when it is asked again.
    Transient,
    /// The prompt does not fit the model's window, says its server.
    Overflow,
    /// The same request would fail again.
    Permanent,
}

/// A model call brought no reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LlmFailed {
    /// The call.
    pub call: u64,
    /// How it failed.
    pub failure: LlmFailure,
    /// The error in words.
    pub detail: String,
    /// What it cost, as estimated.
    pub usage: Usage,
}

/// Turns that left the prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForgottenTurns {
    /// What was sent with this call and before it, and the replies before its own, are no longer shown.
    pub before: u64,
    /// What stands in their place: the plan, and what the operator has directed.
    pub summary: String,
}

/// Old tool results, or whole old turns, left the prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContextCompacted {
    /// The tool calls whose results are stubs from now on, as (model call, index).
    pub dropped: Vec<(u64, u32)>,
    /// The turns that are left out from now on, where stubs alone save too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<ForgottenTurns>,
    /// The size of the prompt before, in tokens, estimated.
    pub before: u64,
    /// The size of the prompt after, in tokens, estimated.
    pub after: u64,
}

/// The model's first plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanGenerated {
    /// The plan.
    pub plan: Plan,
    /// Whether the factory made it up because the model went to work without one.
    pub implied: bool,
}

/// The model changed its plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanRevised {
    /// The steps that are left, by the new plan.
    pub plan: Plan,
}

/// The project's setup is about to be run, or its kept result taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetupStarted {
    /// The commit that the work starts from.
    pub base: CommitId,
    /// The commands.
    pub commands: Vec<String>,
    /// What they may reach.
    pub network: SetupNetwork,
}

/// The project's setup is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetupFinished {
    /// The tree of the commit that the work starts from.
    pub base_tree: TreeId,
    /// The layer that holds what setup left; none where there is no setup.
    pub layer: Option<String>,
    /// Whether a kept result was taken.
    pub reused: bool,
    /// Whether it succeeded.
    pub ok: bool,
    /// What the commands printed.
    pub output: Option<BlobId>,
    /// Milliseconds of work.
    pub work_ms: u64,
}

/// A step of the plan begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepStarted {
    /// The step.
    pub step: StepId,
    /// Its title.
    pub title: String,
}

/// A step of the plan is done, so says the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepFinished {
    /// The step.
    pub step: StepId,
    /// What the model says of it.
    pub summary: String,
}

/// What a tool can do to the world; decides how an unfinished call is settled after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffectClass {
    /// Changes the run's own records at most; is done again.
    Read,
    /// Writes files of the checkout; is completed from the contents stored at its start.
    Write,
    /// Runs a command in the sandbox; runs again, marked.
    Command,
}

/// A file that a tool is about to write. `before` and `after` are hashes of contents; none is an absent file. The
/// content of `after` is stored with the event, so that an interrupted write is completed from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedWrite {
    /// The path within the repository.
    pub path: String,
    /// The content that is there now.
    pub before: Option<BlobId>,
    /// The content that will be there.
    pub after: Option<BlobId>,
    /// Whether the file is to be executable.
    pub executable: bool,
}

/// A tool call is about to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolStarted {
    /// The model call that asked for it.
    pub call: u64,
    /// The place among that reply's tool calls, from 0.
    pub index: u32,
    /// The tool.
    pub tool: String,
    /// What it can do to the world.
    pub effect: EffectClass,
    /// The files that it will write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<PlannedWrite>,
    /// The command that it will run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Whether it was begun before and the process died in the middle.
    #[serde(default)]
    pub rerun: bool,
}

/// A tool call was carried out or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolFinished {
    /// The model call that asked for it.
    pub call: u64,
    /// The place among that reply's tool calls, from 0.
    pub index: u32,
    /// The tool.
    pub tool: String,
    /// Whether it did what was asked.
    pub ok: bool,
    /// One line for the operator.
    pub summary: String,
    /// What the model is told.
    pub result: BlobId,
    /// A hash of tool, arguments and result, by which repetition is seen.
    pub fingerprint: BlobId,
    /// The file whose edit could not be applied, where that is what failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_edit: Option<String>,
    /// The file that the call would have left as it is, where that is why nothing was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<String>,
    /// Milliseconds of work.
    pub work_ms: u64,
}

/// A file of the checkout changed by a tool's hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileChanged {
    /// The path within the repository.
    pub path: String,
    /// The content before; none where the file was absent.
    pub before: Option<BlobId>,
    /// The content after; none where the file is gone.
    pub after: Option<BlobId>,
}

/// Something was refused for safety.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyDenied {
    /// A stable code such as `path_escape`.
    pub code: String,
    /// What was refused, and why.
    pub detail: String,
}

/// The project's checks are about to be run on a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckStarted {
    /// Which round of checks it is, from 1.
    pub round: u32,
    /// The tree that is proven.
    pub tree: TreeId,
    /// The commands.
    pub commands: Vec<String>,
}

/// How one check command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// The command.
    pub command: String,
    /// Whether it exited 0 in time.
    pub ok: bool,
    /// How it ended, in words.
    pub ended: String,
    /// What it printed, its middle cut where it is long.
    pub output: BlobId,
    /// How long it took, in milliseconds.
    pub work_ms: u64,
}

/// The project's checks were run on a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckFinished {
    /// Which round of checks it is, from 1.
    pub round: u32,
    /// The tree that was proven.
    pub tree: TreeId,
    /// Whether every command exited 0. False where there are none.
    pub green: bool,
    /// Each command's result; after the first red one no more are run.
    pub results: Vec<CheckResult>,
    /// Changed tests, check scripts, lock files and CI files.
    pub sensitive: Vec<String>,
    /// Milliseconds of work.
    pub work_ms: u64,
}

/// The model repeats itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoopDetected {
    /// The tool.
    pub tool: String,
    /// How often the same call brought the same result.
    pub count: u32,
}

/// Four fifths of a budget are spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetWarned {
    /// Which bound.
    pub limit: String,
}

/// A budget is spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetExhausted {
    /// Which bound.
    pub limit: String,
    /// What was spent.
    pub usage: Usage,
}

/// The checkout's tree was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointCreated {
    /// The checkpoint's number within the run, from 1.
    pub checkpoint: u32,
    /// The commit on the run's hidden ref.
    pub commit: CommitId,
    /// The tree.
    pub tree: TreeId,
    /// How many files differ from the checkpoint before.
    pub files_changed: u64,
}

/// The approved tree is a commit in the factory's own store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitCreated {
    /// The commit.
    pub commit: CommitId,
    /// The approved tree.
    pub tree: TreeId,
    /// The commit that it stands on.
    pub parent: CommitId,
    /// The message.
    pub message: String,
}

/// The commit is reachable in the operator's repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BranchPublished {
    /// The branch, as `factory/run-1`.
    pub branch: String,
    /// The commit.
    pub commit: CommitId,
}

/// Something done to the world outside the checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "operation")]
pub enum Operation {
    /// Put a commit on a new branch of the operator's repository.
    Publish {
        /// The branch.
        branch: String,
        /// The commit.
        commit: CommitId,
    },
}

/// An operation is about to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperationStarted {
    /// The operation.
    #[serde(flatten)]
    pub operation: Operation,
}

/// An operation was carried out or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperationFinished {
    /// The operation.
    #[serde(flatten)]
    pub operation: Operation,
    /// Why it was refused; none where it was done.
    pub error: Option<String>,
}
