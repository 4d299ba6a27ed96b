//! The embeddable core of AI Dev Factory: durable agent runs over a git repository, proven by the project's own
//! checks.
//!
//! A [`Factory`] owns a data folder. Register a repository, file a run with a goal, and drive it until it rests: it is
//! then complete, or asks something, or says why it cannot go on. Everything that happens is an event, stored before
//! anything depends on it, so that a process that dies loses nothing. A [`Reader`] shows the state beside the owner.
//!
//! ```
//! use std::sync::Arc;
//!
//! use factory_core::factory::{AddProject, ApproveTree, Sockets, Submit};
//! use factory_core::llm::scripted::ScriptedLlm;
//! use factory_core::model::{ApprovalSubject, RunSpec, RunStatus};
//! use factory_core::{Factory, HostEnvironment, Settings};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let repository = folder.path().join("repository");
//! std::fs::create_dir(&repository)?;
//! std::fs::write(repository.join("answer.txt"), "41\n")?;
//!
//! // A model that plays a script; `Factory::open` alone opens models by their names, such as `ollama:NAME`.
//! let script = r#"{"replies": [
//!     {"tool_calls": [{"name": "update_plan", "arguments": {"steps": ["Correct the answer"]}}]},
//!     {"tool_calls": [{"name": "write_file", "arguments": {"path": "answer.txt", "content": "42\n"}},
//!                     {"name": "finish_step", "arguments": {"summary": "corrected"}}]}
//! ]}"#;
//! let mut sockets = Sockets::default();
//! sockets.models.insert("script".to_owned(), Arc::new(ScriptedLlm::from_json("script", script)?));
//!
//! let host = HostEnvironment { variables: std::env::vars().collect(), home: folder.path().into() };
//! let factory = Factory::open_with(Settings::new(folder.path().join("data"), host), sockets).await?;
//! let added = factory
//!     .add_project(AddProject {
//!         path: repository,
//!         init: true,
//!         setup: Some(vec![]),
//!         checks: Some(vec!["grep -qx 42 answer.txt".to_owned()]),
//!         ..AddProject::default()
//!     })
//!     .await?;
//! let run = factory
//!     .submit(Submit {
//!         project: added.project.name,
//!         goal: "The answer should be 42".to_owned(),
//!         spec: RunSpec { model: "script".to_owned(), ..RunSpec::default() },
//!         priority: 0,
//!     })
//!     .await?;
//!
//! let rested = factory.drive(run.id).await?;
//! assert_eq!(rested.status, RunStatus::AwaitingApproval);
//! let asked = factory.reader().run(run.id).await?.open_approval.ok_or("nothing is asked")?;
//! let ApprovalSubject::Tree { tree, proven, .. } = asked.subject else { return Err("not a tree".into()) };
//! assert!(proven, "the check ran on this very tree");
//!
//! factory.approve(run.id, ApproveTree { tree, message: None }).await?;
//! let done = factory.drive(run.id).await?;
//! assert_eq!((done.status, done.branch.as_deref()), (RunStatus::Complete, Some("factory/run-1")));
//! factory.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Code map
//!
//! [`model`] is the vocabulary. [`store`], [`llm`] and [`vcs`] are the sockets that backends plug into; [`workspace`],
//! [`sandbox`], [`environment`] and [`tools`] are what a run works with. [`journal`] is the one writer of events, the
//! agent loop folds them and acts, and [`factory`] is the way in. Imports point in that direction alone.

#[cfg(not(target_os = "linux"))]
compile_error!("AI Dev Factory supports Linux; on Windows use WSL2, elsewhere a Linux virtual machine");

mod agent;
mod chain;
pub mod context;
pub mod data_folder;
pub mod environment;
mod error;
pub mod evaluation;
pub mod event_bus;
pub mod factory;
pub mod feed;
mod gate;
pub mod journal;
pub mod llm;
pub mod model;
mod model_notes;
pub mod sandbox;
pub mod scheduler;
pub mod settings;
mod spans;
pub mod store;
pub mod syntax;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tools;
pub mod vcs;
pub mod workspace;

pub use chain::chain;
pub use environment::HostEnvironment;
pub use error::Error;
pub use factory::{Factory, Reader};
pub use settings::Settings;
