//! What happened in a run, read from the store.

use factory_core::Factory;
use factory_core::model::{BlobId, Event, RunId, Seq};
use factory_core::store::Page as StorePage;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Binary;

use super::Tag;
use super::paging::{DEFAULT_LIMIT, MAX_LIMIT};
use super::payload::{Page, Reply};
use crate::guard::Viewer;
use crate::problem::Problem;

/// The operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventsApi;

#[OpenApi(tag = "Tag::Events")]
impl EventsApi {
    /// Lists what happened in a run, in order
    ///
    /// Always whole: a stream that broke off is made up from here. `next_cursor` is the number to give as `after`.
    #[oai(
        path = "/runs/:run_id/events",
        method = "get",
        operation_id = "list_run_events"
    )]
    async fn list(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// The run.
        run_id: Path<i64>,
        /// Those after this one; 0 begins.
        after: Query<Option<u64>>,
        /// At most so many.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
    ) -> Result<Reply<Page<Event>>, Problem> {
        let limit = limit.0.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        let after = Seq(after.0.unwrap_or_default());
        let items = factory
            .reader()
            .events(RunId(run_id.0), StorePage::after(after, limit))
            .await?;
        let is_full = items.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next_cursor = items.last().filter(|_| is_full).map(|last| last.seq.to_string());
        Ok(Reply::new(Page { items, next_cursor }))
    }

    /// Returns a text that an event names: a message, a reply, a command's output
    ///
    /// Its name is the hash of its content, which therefore never changes.
    #[oai(path = "/blobs/:blob_id", method = "get", operation_id = "get_blob")]
    async fn blob(
        &self,
        _caller: Viewer,
        Data(factory): Data<&Factory>,
        /// The SHA-256 of the content, in lower-case hexadecimal.
        #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
        blob_id: Path<String>,
    ) -> Result<Binary<Vec<u8>>, Problem> {
        let id: BlobId = blob_id
            .0
            .parse()
            .map_err(|error: factory_core::model::InvalidId| {
                Problem::new(poem::http::StatusCode::BAD_REQUEST, "bad_path", error.to_string())
            })?;
        Ok(Binary(factory.reader().blob(&id).await?))
    }
}
