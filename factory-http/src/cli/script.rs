//! `factory script serve`: a scripted model behind a server, for demonstrations and measurements. Hidden: it is no part
//! of ordinary work.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use factory_core::llm::scripted::ScriptedLlm;

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::script_server;

#[derive(Debug, Subcommand)]
pub(super) enum Script {
    /// Answers like a model's server, by a script
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The script: JSON with `replies`
    file: PathBuf,
    /// The address to listen at
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A file to which each request is appended as a line of JSON
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

impl Script {
    pub(super) async fn run(self, _context: &mut Context) -> Result<Exit, Failure> {
        let Self::Serve(serve) = self;
        serve.run().await
    }
}

impl Serve {
    async fn run(self) -> Result<Exit, Failure> {
        let file = self.file.clone();
        let opened = tokio::task::spawn_blocking(move || ScriptedLlm::from_file(&file)).await;
        let opened = opened.map_err(|error| Failure::caused("cannot read the script", &error))?;
        let script = opened.map_err(|error| Failure::from(factory_core::Error::from(error)))?;
        let served = script_server::serve(self.listen, Arc::new(script), self.log, |address| {
            println!("serving {} at http://{address}/v1", self.file.display());
        });
        served
            .await
            .map_err(|error| Failure::caused(format!("cannot serve at {}", self.listen), &error))?;
        Ok(Exit::Complete)
    }
}
