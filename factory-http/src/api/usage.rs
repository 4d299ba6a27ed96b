//! What was spent, by day, project or model.

#![expect(
    clippy::too_many_arguments,
    reason = "an operation's parameters are its arguments"
)]

use factory_core::Factory;
use factory_core::model::ProjectId;
use factory_core::store::{UsageFilter, UsageGroup, UsageTotal};
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::{Enum, OpenApi};

use super::Tag;
use super::paging::List;
use super::payload::{Page, Reply};
use crate::guard::Viewer;
use crate::problem::Problem;

/// By what usage is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum By {
    Day,
    Project,
    Model,
}

/// The operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UsageApi;

#[OpenApi(prefix_path = "/usage", tag = "Tag::Usage")]
impl UsageApi {
    /// Sums what was spent
    ///
    /// Days are in UTC. A project that was removed keeps its number; `0` stands for none.
    #[oai(path = "/", method = "get", operation_id = "list_usage")]
    async fn list(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// By what it is summed; by day where nothing is said.
        by: Query<Option<By>>,
        /// From this day on, as 2026-01-31.
        #[oai(validator(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
        from: Query<Option<String>>,
        /// Until this day, which is included.
        #[oai(validator(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
        until: Query<Option<String>>,
        /// Of this project alone.
        project_id: Query<Option<i64>>,
        /// At most so many.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
        /// The page's beginning, as the page before gave it.
        cursor: Query<Option<String>>,
    ) -> Result<Reply<Page<UsageTotal>>, Problem> {
        let group = match by.0.unwrap_or(By::Day) {
            By::Day => UsageGroup::Day,
            By::Project => UsageGroup::Project,
            By::Model => UsageGroup::Model,
        };
        let filter = UsageFilter {
            from: from.0,
            until: until.0,
            project_id: project_id.0.map(ProjectId),
        };
        let list = List::new(format!("usage {group:?} {filter:?}"), &limit);
        let page = list.page(cursor.0.as_deref())?;
        let sums = factory.reader().usage(group, filter, page).await?;
        Ok(Reply::new(list.answer(sums, |sum| sum.key.clone(), |sum| sum)))
    }
}
