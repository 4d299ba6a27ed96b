//! Tokens: what lets programs in, and the sessions of browsers.

use std::time::Duration;

use factory_core::factory::credentials::{CredentialView, IssuedCredential, Listed, NewToken};
use factory_core::model::Role;
use factory_core::{Error, Factory};
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::Tag;
use super::paging::List;
use super::payload::{Body, Created, Done, Page, Reply};
use crate::guard::Admin;
use crate::problem::Problem;

/// A token to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"name": "ci", "role": "operator"}))]
pub(crate) struct TokenToMake {
    /// Under which name its holder acts: events say it.
    #[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9._@-]{0,63}$"))]
    name: String,
    /// What its holder may do.
    role: Role,
    /// After how many seconds it lapses; null for never.
    #[serde(default)]
    #[schemars(range(min = 1, max = 3_153_600_000_u64))]
    expires_in: Option<u64>,
}

/// The operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokensApi;

#[OpenApi(prefix_path = "/tokens", tag = "Tag::Tokens")]
impl TokensApi {
    /// Lists the tokens and sessions that hold
    ///
    /// In the order of their numbers, without their secrets. The owner's token is among them.
    #[oai(path = "/", method = "get", operation_id = "list_tokens")]
    async fn list(
        &self,
        _caller: Admin,
        Data(factory): Data<&Factory>,
        /// Whether those are listed too that no longer hold.
        all: Query<Option<bool>>,
        /// At most so many.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u32>>,
        /// The page's beginning, as the page before gave it.
        cursor: Query<Option<String>>,
    ) -> Result<Reply<Page<CredentialView>>, Problem> {
        let which = if all.0.unwrap_or_default() {
            Listed::All
        } else {
            Listed::Holding
        };
        let list = List::new(format!("tokens {which:?}"), &limit);
        let page = list.page(cursor.0.as_deref())?;
        let found = factory.credentials().await?.list(which, page).await?;
        Ok(Reply::new(list.answer(found, |one| one.id, |one| one)))
    }

    /// Makes a token
    ///
    /// Its secret is in this answer and nowhere else.
    #[oai(path = "/", method = "post", operation_id = "create_token")]
    async fn create(
        &self,
        _caller: Admin,
        Data(factory): Data<&Factory>,
        body: Body<TokenToMake>,
    ) -> Result<Created<IssuedCredential>, Problem> {
        let wanted = body.value;
        let new = NewToken {
            name: wanted.name,
            role: wanted.role,
            expires_in: wanted.expires_in.map(Duration::from_secs),
        };
        let issued = factory.credentials().await?.issue(new).await?;
        let location = format!("/tokens/{}", issued.credential.id);
        Ok(Created::at(location, issued))
    }

    /// Takes a token or a session back
    ///
    /// What its holder has open ends now.
    #[oai(path = "/:token_id", method = "delete", operation_id = "revoke_token")]
    async fn revoke(
        &self,
        _caller: Admin,
        Data(factory): Data<&Factory>,
        /// Its number.
        token_id: Path<i64>,
    ) -> Result<Done, Problem> {
        factory
            .credentials()
            .await?
            .revoke(&token_id.0.to_string())
            .await
            .map_err(refused)?;
        Ok(Done)
    }
}

/// The owner's token stays, however well it is asked for.
fn refused(error: Error) -> Problem {
    match error {
        Error::BadInput(detail) => Problem::new(StatusCode::CONFLICT, "conflict", detail),
        other => other.into(),
    }
}
