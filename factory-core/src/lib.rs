//! The embeddable core of AI Dev Factory: durable agent runs over a git repository, proven by the project's own
//! checks.

#[cfg(not(target_os = "linux"))]
compile_error!("AI Dev Factory supports Linux; on Windows use WSL2, elsewhere a Linux virtual machine");

pub mod environment;
pub mod llm;
pub mod model;
pub mod sandbox;
pub mod store;
pub mod vcs;
