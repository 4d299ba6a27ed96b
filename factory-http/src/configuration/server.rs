//! The table `[server]` of `factory.toml`: where the server listens and under which names it is reached.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use serde::Deserialize;

use super::secrets::Sources;
use crate::guard::{FailureQuota, Site, host_and_port};
use crate::server::{Listening, PlainHttp, TlsFiles};

/// The table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServerTable {
    listen: Option<String>,
    console: Option<String>,
    hosts: Vec<String>,
    public_url: Option<String>,
    tls_cert: Option<String>,
    tls_key: Option<String>,
    allow_plain_http: bool,
    /// How many failed authentications of an address are answered in full at once; one a second more after that.
    failures: Option<NonZeroU32>,
}

impl ServerTable {
    /// Returns what the table says. Files are looked at when the server starts.
    pub(super) fn listening(self, sources: Sources<'_>) -> Result<Listening, String> {
        let default = Listening::default();
        let address = |name: &str, text: Option<String>, default| match text {
            None => Ok(default),
            Some(text) => parse_address(&text).map_err(|problem| format!("server.{name}: {problem}")),
        };
        if let Some(bad) = self.hosts.iter().find(|host| host_and_port(host).is_none()) {
            return Err(format!(
                "server.hosts: `{bad}` is no name; write `factory.example.org` or `factory.example.org:8443`"
            ));
        }
        let public_url = self.public_url.as_deref().map(|text| {
            Site::from_url(text).ok_or_else(|| {
                format!("server.public_url: `{text}` is not an address such as https://factory.example.org")
            })
        });
        let tls = match (&self.tls_cert, &self.tls_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(TlsFiles {
                certificate: sources.place_of(certificate),
                key: sources.place_of(key),
            }),
            _ => return Err("server: `tls_cert` and `tls_key` go together; set both or none".to_owned()),
        };
        Ok(Listening {
            listen: address("listen", self.listen, default.listen)?,
            console: address("console", self.console, default.console)?,
            hosts: self.hosts,
            public_url: public_url.transpose()?,
            tls,
            failures: self.failures.map_or(default.failures, |burst| FailureQuota {
                burst,
                ..default.failures
            }),
            plain_http: if self.allow_plain_http {
                PlainHttp::Anywhere
            } else {
                PlainHttp::Loopback
            },
        })
    }
}

/// Reads an address with its port.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let named = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    named.as_deref().unwrap_or(text).parse().map_err(|_| {
        format!("`{text}` is not an address with a port, such as 127.0.0.1:8000, 0.0.0.0:8000 or [::1]:8000")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use factory_core::HostEnvironment;

    use super::*;
    use crate::environment::Environment;
    use crate::render::output::Terminal;

    fn read(toml: &str) -> Result<Listening, String> {
        use figment::providers::Format as _;
        let environment = Environment {
            host: HostEnvironment {
                home: "/home/ann".into(),
                variables: BTreeMap::new(),
            },
            default_data_folder: "/data".into(),
            terminal: Terminal {
                asks: false,
                live: false,
                colours: false,
            },
        };
        let table: ServerTable = figment::Figment::from(figment::providers::Toml::string(toml))
            .extract()
            .map_err(|error| error.to_string())?;
        table.listening(Sources {
            environment: &environment,
            data_folder: Path::new("/data"),
        })
    }

    #[test]
    fn a_table_says_where_to_listen() {
        assert_eq!(read(""), Ok(Listening::default()));
        let toml = "listen = \"0.0.0.0:8443\"\nconsole = \"localhost:3002\"\nhosts = [\"box.lan\", \"[::1]:9\"]\n\
            public_url = \"https://factory.example.org/\"\ntls_cert = \"cert.pem\"\ntls_key = \"~/key.pem\"";
        let expected = Listening {
            listen: "0.0.0.0:8443".parse().unwrap(),
            console: "127.0.0.1:3002".parse().unwrap(),
            hosts: vec!["box.lan".to_owned(), "[::1]:9".to_owned()],
            public_url: Site::from_url("https://factory.example.org"),
            tls: Some(TlsFiles {
                certificate: "/data/cert.pem".into(),
                key: "/home/ann/key.pem".into(),
            }),
            plain_http: PlainHttp::Loopback,
            ..Listening::default()
        };
        assert_eq!(read(toml), Ok(expected));
    }

    #[test]
    fn a_slip_of_the_pen_is_named() {
        for (toml, expected) in [
            (
                "listen = \"8000\"",
                "server.listen: `8000` is not an address with a port",
            ),
            (
                "console = \"host:1\"",
                "server.console: `host:1` is not an address with a port",
            ),
            ("hosts = [\"http://x\"]", "server.hosts: `http://x` is no name"),
            ("hosts = [\"*\"]", "server.hosts: `*` is no name"),
            (
                "public_url = \"x.org\"",
                "server.public_url: `x.org` is not an address such as",
            ),
            ("tls_cert = \"x\"", "server: `tls_cert` and `tls_key` go together"),
            ("lisen = \"x\"", "unknown field"),
        ] {
            let refused = read(toml).unwrap_err();
            assert!(refused.starts_with(expected), "{refused}");
        }
    }
}
