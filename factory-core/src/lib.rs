//! The embeddable core of AI Dev Factory: durable agent runs over a git repository, proven by the project's own
//! checks.

#[cfg(not(target_os = "linux"))]
compile_error!("AI Dev Factory supports Linux; on Windows use WSL2, elsewhere a Linux virtual machine");

mod agent;
pub mod data_folder;
pub mod environment;
mod error;
pub mod event_bus;
pub mod factory;
mod gate;
pub mod journal;
pub mod llm;
pub mod model;
pub mod sandbox;
pub mod settings;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tools;
pub mod vcs;
pub mod workspace;

pub use environment::HostEnvironment;
pub use error::{Error, chain};
pub use factory::{Factory, Reader};
pub use settings::Settings;
