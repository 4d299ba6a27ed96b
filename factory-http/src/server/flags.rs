//! The flags of `factory serve` that say where to listen. They win over the settings.

use std::net::SocketAddr;

use clap::Args;

use super::listening::{Listening, PlainHttp};
use crate::configuration::server::parse_address;

/// Where to listen.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ListenFlags {
    /// Where programs reach the API [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_address)]
    listen: Option<SocketAddr>,
    /// Where browsers reach the console [default: 127.0.0.1:3001]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_address)]
    console: Option<SocketAddr>,
    /// Serves other machines without TLS: whoever listens on the way reads tokens and sessions
    #[arg(long)]
    allow_plain_http: bool,
}

impl ListenFlags {
    /// Returns the settings as the flags change them.
    pub(crate) fn over(&self, settings: &Listening) -> Listening {
        Listening {
            listen: self.listen.unwrap_or(settings.listen),
            console: self.console.unwrap_or(settings.console),
            plain_http: if self.allow_plain_http {
                PlainHttp::Anywhere
            } else {
                settings.plain_http
            },
            ..settings.clone()
        }
    }
}
