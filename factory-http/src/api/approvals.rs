//! What the operator is asked, over all runs and of one, and the decisions.

#![expect(
    clippy::too_many_arguments,
    reason = "an operation's parameters are its arguments"
)]

use factory_core::Factory;
use factory_core::factory::Verdict;
use factory_core::model::{Approval, ApprovalId, ApprovalSubject, RunId, TreeId};
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::once::{self, InFlight, KeyHeader};
use super::paging::List;
use super::payload::{Body, Page, Reply};
use super::run::{self, Run};
use super::{Tag, patterns};
use crate::guard::{Operator, Viewer};
use crate::problem::Problem;

/// What is decided.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, tag = "verdict", rename_all = "snake_case")]
#[schemars(example = json!({"verdict": "reject", "because": "The old name has to keep working."}))]
pub(crate) enum NewDecision {
    /// The tree is to be committed.
    Approve {
        /// The tree that was reviewed. Where the run offers another one by now, the answer is 409.
        tree: TreeId,
        /// A commit message instead of the proposed one.
        #[serde(default)]
        #[schemars(length(min = 1, max = 65536))]
        message: Option<String>,
    },
    /// No; the reason goes to the agent, and the run goes on.
    Reject {
        /// Why.
        #[schemars(length(min = 1, max = 65536), regex(pattern = patterns::TEXT))]
        because: String,
    },
    /// The question is answered.
    Answer {
        /// The answer.
        #[schemars(length(min = 1, max = 65536), regex(pattern = patterns::TEXT))]
        text: String,
    },
}

/// The operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApprovalsApi;

#[OpenApi(tag = "Tag::Approvals")]
impl ApprovalsApi {
    /// Lists what waits for a decision, over all runs, the oldest first
    ///
    /// What was decided is listed by its run.
    #[oai(path = "/approvals", method = "get", operation_id = "list_approvals")]
    async fn open(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// At most so many.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
        /// The page's beginning, as the page before gave it.
        cursor: Query<Option<String>>,
    ) -> Result<Reply<Page<Approval>>, Problem> {
        let list = List::new("approvals", &limit);
        let page = list.page(cursor.0.as_deref())?;
        let found = factory.reader().open_approvals(None, page).await?;
        Ok(Reply::new(list.answer(
            found,
            |approval| approval.id,
            |approval| approval,
        )))
    }

    /// Lists all that a run ever asked
    ///
    /// The oldest first, each with its decision where there is one.
    #[oai(
        path = "/runs/:run_id/approvals",
        method = "get",
        operation_id = "list_run_approvals"
    )]
    async fn of_run(
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
    ) -> Result<Reply<Page<Approval>>, Problem> {
        let list = List::new(format!("approvals of {}", run_id.0), &limit);
        let page = list.page(cursor.0.as_deref())?;
        let found = factory.reader().approvals_of(RunId(run_id.0), page).await?;
        Ok(Reply::new(list.answer(
            found,
            |approval| approval.id,
            |approval| approval,
        )))
    }

    /// Shows what is asked
    ///
    /// The entity tag of one that offers a tree is that tree: give it as `If-Match` with the approval.
    #[oai(
        path = "/approvals/:approval_id",
        method = "get",
        operation_id = "get_approval"
    )]
    async fn get(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// The approval.
        approval_id: Path<i64>,
    ) -> Result<Reply<Approval>, Problem> {
        let approval = factory.reader().approval(ApprovalId(approval_id.0)).await?;
        let tag = offered(&approval).cloned();
        let reply = Reply::new(approval);
        Ok(match tag {
            Some(tree) => reply.tagged(tree),
            None => reply,
        })
    }

    /// Decides what is asked
    ///
    /// What was reviewed is what is committed: an approval names the tree twice, in `If-Match`, as the entity tag of the
    /// diff or of this approval, and in the body.
    #[oai(
        path = "/approvals/:approval_id/decision",
        method = "post",
        operation_id = "decide_approval"
    )]
    async fn decide(
        &self,
        caller: Operator,
        Data(factory): Data<&Factory>,
        Data(in_flight): Data<&InFlight>,
        /// The approval.
        approval_id: Path<i64>,
        /// For an approval: the entity tag of what was reviewed.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        /// A key under which it is decided at most once.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        body: Body<NewDecision>,
    ) -> Result<Reply<Run>, Problem> {
        let Body {
            value: decision,
            digest,
        } = body;
        let id = ApprovalId(approval_id.0);
        let operation = format!("POST /approvals/{id}/decision");
        let request = once::Request::new(factory, in_flight, &caller.0, key, &operation, &digest);
        let verdict = match decision {
            NewDecision::Approve { tree, message } => {
                matched(if_match.0.as_deref(), &tree)?;
                Verdict::Approve {
                    tree: Some(tree),
                    message,
                }
            }
            NewDecision::Reject { because } => Verdict::Reject { because },
            NewDecision::Answer { text } => Verdict::Answer { text },
        };
        let made = request
            .write(async |factory| Ok([factory.decide(id, verdict).await?]))
            .await?;
        run::replied(factory.reader(), made).await
    }
}

fn offered(approval: &Approval) -> Option<&TreeId> {
    match &approval.subject {
        ApprovalSubject::Tree { tree, .. } => Some(tree),
        _ => None,
    }
}

/// Refuses an approval that does not say which state it is about.
fn matched(given: Option<&str>, tree: &TreeId) -> Result<(), Problem> {
    let Some(given) = given else {
        let detail =
            "an approval says which tree was reviewed: give the `ETag` of the run's diff as `If-Match`";
        return Err(
            Problem::new(StatusCode::PRECONDITION_REQUIRED, "if_match_required", detail)
                .at("header:If-Match", "missing"),
        );
    };
    let mut tags = given.split(',').map(str::trim);
    if tags.any(|tag| tag == "*" || tag.trim_matches('"') == tree.as_str()) {
        return Ok(());
    }
    let detail =
        format!("`If-Match` names another tree than {tree}, which the body approves; look at the diff again");
    Err(
        Problem::new(StatusCode::PRECONDITION_FAILED, "if_match_failed", detail)
            .at("header:If-Match", "names another tree"),
    )
}
