//! The server itself: whether it lives, whether it works, and what it is.

#![expect(
    clippy::unused_async,
    reason = "operations are async, whether or not they wait"
)]

use factory_core::Factory;
use poem::web::Data;
use poem_openapi::OpenApi;
use schemars::JsonSchema;
use serde::Serialize;

use super::Tag;
use super::payload::Reply;
use crate::guard::Viewer;
use crate::problem::Problem;

/// Whether the server lives.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    /// `ok`, or what is wrong in a word.
    status: String,
    /// What was looked at.
    findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Finding {
    /// What it is, as `git`, `sandbox`, `database`, `disk`.
    subject: String,
    /// Whether it works.
    ok: bool,
    /// What was found.
    found: String,
    /// What to do about it.
    remedy: Option<String>,
}

/// What the server is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Version {
    /// The program.
    name: String,
    /// Its version.
    #[serde(rename = "version")]
    program: String,
    /// The version of the words that models are given.
    prompts: String,
}

/// The operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServiceApi;

#[OpenApi(tag = "Tag::Service")]
impl ServiceApi {
    /// Tells that the server lives
    ///
    /// Takes no credential and tells nothing else.
    #[oai(path = "/health/live", method = "get", operation_id = "health_live")]
    async fn live(&self) -> Reply<Health> {
        Reply::new(Health {
            status: "ok".to_owned(),
            findings: Vec::new(),
        })
    }

    /// Tells what works and what does not
    ///
    /// Looks at git, the sandbox, toolchains, the models in use, the database and the disk, each time anew.
    #[oai(path = "/health/ready", method = "get", operation_id = "health_ready")]
    async fn ready(&self, _caller: Viewer, Data(factory): Data<&Factory>) -> Result<Reply<Health>, Problem> {
        let findings = factory.reader().doctor().await;
        let is_well = findings.iter().all(|finding| finding.ok);
        Ok(Reply::new(Health {
            status: if is_well { "ok" } else { "degraded" }.to_owned(),
            findings: findings
                .into_iter()
                .map(|finding| Finding {
                    subject: finding.subject,
                    ok: finding.ok,
                    found: finding.found,
                    remedy: finding.remedy,
                })
                .collect(),
        }))
    }

    /// Tells what the server is
    ///
    /// The version of the program, and that of the words that models are given.
    #[oai(path = "/version", method = "get", operation_id = "version")]
    async fn version(&self, _caller: Viewer) -> Reply<Version> {
        Reply::new(Version {
            name: "factory".to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            prompts: Factory::prompt_version(),
        })
    }
}
