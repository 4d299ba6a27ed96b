//! Where the server listens, as the settings and the flags say it.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::failure::Failure;
use crate::guard::{FailureQuota, Scheme, Site};

/// Where and how to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listening {
    /// The port of the API.
    pub(crate) listen: SocketAddr,
    /// The port of browsers.
    pub(crate) console: SocketAddr,
    /// More names under which the server is reached, as `NAME` or `NAME:PORT`.
    pub(crate) hosts: Vec<String>,
    /// Where browsers reach it, through a proxy or by a name.
    pub(crate) public_url: Option<Site>,
    /// The certificate, for TLS.
    pub(crate) tls: Option<TlsFiles>,
    /// Whether others on the network may be served without TLS.
    pub(crate) plain_http: PlainHttp,
    /// How many failed authentications are answered in full.
    pub(crate) failures: FailureQuota,
}

/// A certificate and its key, as files (PEM).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate, with those that vouch for it.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

/// Whether others on the network may be served without TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    /// This machine alone.
    #[default]
    Loopback,
    /// Everybody, as the operator said.
    Anywhere,
}

impl Default for Listening {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            console: SocketAddr::from(([127, 0, 0, 1], 3001)),
            hosts: Vec::new(),
            public_url: None,
            tls: None,
            plain_http: PlainHttp::default(),
            failures: FailureQuota::default(),
        }
    }
}

impl Listening {
    /// Returns how the ports are spoken to.
    pub(crate) fn scheme(&self) -> Scheme {
        match self.tls {
            Some(_) => Scheme::Https,
            None => Scheme::Http,
        }
    }

    /// Refuses to let tokens and sessions cross a network in the clear.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.tls.is_some() || self.plain_http == PlainHttp::Anywhere {
            return Ok(());
        }
        let open = [self.listen, self.console]
            .into_iter()
            .find(|address| !address.ip().is_loopback());
        match open {
            None => Ok(()),
            Some(address) => Err(Failure::usage(format!(
                "`{address}` can be reached from other machines, and without TLS whoever listens on the way reads tokens \
                 and sessions"
            ))
            .with_remedy(
                "set `tls_cert` and `tls_key` in the `[server]` table of factory.toml; or listen on 127.0.0.1 and let a \
                 proxy or an SSH tunnel lead there; or say --allow-plain-http where the network is your own",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(listen: &str, console: &str) -> Listening {
        Listening {
            listen: listen.parse().unwrap(),
            console: console.parse().unwrap(),
            ..Listening::default()
        }
    }

    #[test]
    fn off_loopback_plain_http_has_to_be_said() {
        for here in [
            at("127.0.0.1:8000", "127.0.0.1:3001"),
            at("[::1]:8000", "127.0.0.9:3001"),
        ] {
            here.check().unwrap();
        }
        for open in [
            at("0.0.0.0:8000", "127.0.0.1:3001"),
            at("127.0.0.1:8000", "192.168.1.5:3001"),
            at("[::]:8000", "[::1]:3001"),
            at("[::ffff:127.0.0.1]:8000", "127.0.0.1:3001"),
        ] {
            let failure = open.check().unwrap_err();
            assert!(
                failure.message.contains("can be reached from other machines"),
                "{failure:?}"
            );
            Listening {
                plain_http: PlainHttp::Anywhere,
                ..open.clone()
            }
            .check()
            .unwrap();
            Listening {
                tls: Some(TlsFiles {
                    certificate: "c".into(),
                    key: "k".into(),
                }),
                ..open
            }
            .check()
            .unwrap();
        }
    }
}
