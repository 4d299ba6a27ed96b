//! What a run has made so far: its plan, its checks, its checkpoints, its changes, and what was said of them.

#![expect(
    clippy::too_many_arguments,
    reason = "an operation's parameters are its arguments"
)]

use factory_core::Factory;
use factory_core::factory::{CheckView, CheckpointView, CommentView, DiffRange, StepView};
use factory_core::model::{Comment, RunId, Seq, Side, TreeId};
use factory_core::vcs::{FileDiff, FilePatch};
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::once::{self, InFlight, KeyHeader};
use super::paging::List;
use super::payload::{Body, Page, Reply};
use super::run::{self, Run};
use super::{Tag, patterns};
use crate::guard::{Operator, Viewer};
use crate::problem::Problem;

/// A run's plan, step by step.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PlanSteps {
    /// The steps in their order; empty before there is a plan.
    steps: Vec<StepView>,
}

/// The files that differ between two trees of a run.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChangedFiles {
    /// The older tree; null where nothing was kept yet.
    from: Option<TreeId>,
    /// The newer tree; null where nothing was kept yet. What is approved is approved by it.
    to: Option<TreeId>,
    /// The files, by path.
    items: Vec<FileDiff>,
    /// What to give as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A remark on a run's changes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"path": "src/greeting.rs", "line": 7, "text": "Why not a constant?"}))]
pub(crate) struct NewComment {
    /// The file; null where it is about the whole.
    #[serde(default)]
    #[schemars(length(min = 1, max = 4096), regex(pattern = patterns::INNER_PATH))]
    path: Option<String>,
    /// The line, from 1; null where it is about the whole file.
    #[serde(default)]
    #[schemars(range(min = 1))]
    line: Option<u32>,
    /// Which text the line counts in.
    #[serde(default)]
    side: Option<Side>,
    /// What is said.
    #[schemars(length(min = 1, max = 65536), regex(pattern = patterns::TEXT))]
    text: String,
}

/// The operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReviewApi;

#[OpenApi(prefix_path = "/runs", tag = "Tag::Review")]
impl ReviewApi {
    /// Shows a run's plan, step by step
    ///
    /// As it was last revised; without steps until the model has made one.
    #[oai(path = "/:run_id/plan", method = "get", operation_id = "get_run_plan")]
    async fn plan(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
    ) -> Result<Reply<PlanSteps>, Problem> {
        let steps = factory.reader().plan(RunId(run_id.0)).await?;
        Ok(Reply::new(PlanSteps { steps }))
    }

    /// Lists the rounds of checks that ended
    ///
    /// What the commands printed stands under `/blobs/{blob_id}`.
    #[oai(path = "/:run_id/checks", method = "get", operation_id = "list_run_checks")]
    async fn checks(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
        /// At most so many.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
        /// The page's beginning, as the page before gave it.
        cursor: Query<Option<String>>,
    ) -> Result<Reply<Page<CheckView>>, Problem> {
        let list = List::new(format!("checks {}", run_id.0), &limit);
        let page = list.page_of::<SeqText>(cursor.0.as_deref())?.map(|seq| seq.0);
        let found = factory.reader().checks(RunId(run_id.0), page).await?;
        Ok(Reply::new(list.answer(found, |check| check.seq, |check| check)))
    }

    /// Lists the checkpoints that were kept
    ///
    /// Each is a commit on the run's hidden ref, and a fork may begin with its event.
    #[oai(
        path = "/:run_id/checkpoints",
        method = "get",
        operation_id = "list_run_checkpoints"
    )]
    async fn checkpoints(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
        /// At most so many.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
        /// The page's beginning, as the page before gave it.
        cursor: Query<Option<String>>,
    ) -> Result<Reply<Page<CheckpointView>>, Problem> {
        let list = List::new(format!("checkpoints {}", run_id.0), &limit);
        let page = list.page_of::<SeqText>(cursor.0.as_deref())?.map(|seq| seq.0);
        let found = factory.reader().checkpoints(RunId(run_id.0), page).await?;
        Ok(Reply::new(list.answer(found, |one| one.seq, |one| one)))
    }

    /// Lists what was said of a run's changes
    ///
    /// In the order in which it was said. The agent is told each.
    #[oai(
        path = "/:run_id/comments",
        method = "get",
        operation_id = "list_run_comments"
    )]
    async fn comments(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
        /// At most so many.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
        /// The page's beginning, as the page before gave it.
        cursor: Query<Option<String>>,
    ) -> Result<Reply<Page<CommentView>>, Problem> {
        let list = List::new(format!("comments {}", run_id.0), &limit);
        let page = list.page_of::<SeqText>(cursor.0.as_deref())?.map(|seq| seq.0);
        let found = factory.reader().comments(RunId(run_id.0), page).await?;
        Ok(Reply::new(list.answer(found, |one| one.seq, |one| one)))
    }

    /// Comments on a run's changes
    ///
    /// The agent hears it with its next model call, in order with the directives; a run that waits for an approval hears
    /// it when that is rejected.
    #[oai(path = "/:run_id/comments", method = "post", operation_id = "comment_run")]
    async fn comment(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        Data(in_flight): Data<&InFlight>,
        /// The run.
        run_id: Path<i64>,
        /// A key under which it is said at most once.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        body: Body<NewComment>,
    ) -> Result<Reply<Run>, Problem> {
        let Body { value: new, digest } = body;
        let comment = Comment {
            path: new.path,
            line: new.line,
            side: new.side.unwrap_or_default(),
            text: new.text,
        };
        let run = RunId(run_id.0);
        let operation = format!("POST /runs/{run}/comments");
        let request = once::Request::new(factory, in_flight, &caller.0, key, &operation, &digest);
        let made = request
            .write(async |factory| Ok([factory.comment(run, comment).await?]))
            .await?;
        run::replied(factory.reader(), made).await
    }

    /// Lists the files that a run has changed
    ///
    /// What it offers, or its newest tree, against its base; or between two of its checkpoints. The entity tag is the
    /// newer tree: give it as `If-Match` with an approval.
    #[oai(path = "/:run_id/diff", method = "get", operation_id = "list_run_changes")]
    async fn diff(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
        /// The checkpoint that is the older tree; the run's base where none is named.
        from: Query<Option<u32>>,
        /// The checkpoint that is the newer tree.
        to: Query<Option<u32>>,
        /// At most so many.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
        /// The page's beginning, as the page before gave it.
        cursor: Query<Option<String>>,
    ) -> Result<Reply<ChangedFiles>, Problem> {
        let range = DiffRange {
            from: from.0,
            to: to.0,
        };
        let list = List::new(
            format!("diff {} {:?} {:?}", run_id.0, range.from, range.to),
            &limit,
        );
        let page = list.page(cursor.0.as_deref())?;
        let found = factory.reader().diff_files(RunId(run_id.0), range, page).await?;
        let tag = found.to.clone();
        let page = list.answer(found.files, |file| file.path.clone(), |file| file);
        let reply = Reply::new(ChangedFiles {
            from: found.from,
            to: found.to,
            items: page.items,
            next_cursor: page.next_cursor,
        });
        Ok(match tag {
            Some(tree) => reply.tagged(tree),
            None => reply,
        })
    }

    /// Shows how one file changed, part by part
    ///
    /// A part has a bounded length; `next` is the `offset` of the part after it.
    #[oai(
        path = "/:run_id/diff/file",
        method = "get",
        operation_id = "get_run_file_change"
    )]
    async fn file(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
        /// The file's path within the repository.
        #[oai(validator(min_length = 1, max_length = 4096))]
        path: Query<String>,
        /// The checkpoint that is the older tree; the run's base where none is named.
        from: Query<Option<u32>>,
        /// The checkpoint that is the newer tree.
        to: Query<Option<u32>>,
        /// Where the part begins, in bytes of the whole text: `next` of the part before.
        offset: Query<Option<u64>>,
    ) -> Result<Reply<FilePatch>, Problem> {
        let range = DiffRange {
            from: from.0,
            to: to.0,
        };
        let offset = offset.0.unwrap_or_default();
        let part = factory
            .reader()
            .diff_of_file(RunId(run_id.0), range, &path.0, offset, PART)
            .await?;
        Ok(Reply::new(part))
    }
}

/// The most bytes of a file's change in one answer.
const PART: usize = 256 << 10;

/// An event's number as a cursor holds it.
#[derive(Debug)]
struct SeqText(Seq);

impl std::str::FromStr for SeqText {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|seq| Self(Seq(seq)))
    }
}
