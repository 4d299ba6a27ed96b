//! `factory script serve`: a scripted model behind a server, for demonstrations and measurements. Hidden: it is no part
//! of ordinary work.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;

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
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let Self::Serve(serve) = self;
        serve.run(context).await
    }
}

impl Serve {
    #[expect(
        clippy::unused_async,
        reason = "the server that is to be awaited here is not part of this build yet"
    )]
    async fn run(self, _context: &mut Context) -> Result<Exit, Failure> {
        Err(Failure::failed(format!(
            "this build cannot serve the script `{}` at {}{}",
            self.file.display(),
            self.listen,
            self.log
                .map(|log| format!(" with the log `{}`", log.display()))
                .unwrap_or_default(),
        )))
    }
}
