//! Under which names the server may be reached. A page of another site that has its name point here (DNS rebinding)
//! sends that name; it is refused, whatever address the server listens on.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// How a site is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    /// Plainly.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// A scheme, a host and a port: what browsers call an origin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Site {
    /// How it is spoken to.
    pub(crate) scheme: Scheme,
    /// Its name, or its address; one of IPv6 in brackets.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
}

impl Site {
    /// Returns the site at an address.
    pub(crate) fn at(scheme: Scheme, address: SocketAddr) -> Self {
        Self {
            scheme,
            host: bracketed(address.ip()),
            port: address.port(),
        }
    }

    /// Reads `http://HOST[:PORT]` or `https://HOST[:PORT]`, with or without a slash at the end and nothing after it.
    pub(crate) fn from_url(text: &str) -> Option<Self> {
        let (scheme, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (Scheme::Https, rest)
        } else {
            (Scheme::Http, text.strip_prefix("http://")?)
        };
        let (host, port) = host_and_port(rest.strip_suffix('/').unwrap_or(rest))?;
        Some(Self {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
        })
    }

    /// Returns what browsers send as the origin of a page of this site. Also its URL, without a slash at the end.
    pub(crate) fn origin(&self) -> String {
        if self.port == self.scheme.default_port() {
            format!("{}://{}", self.scheme, self.host)
        } else {
            format!("{}://{}:{}", self.scheme, self.host, self.port)
        }
    }

    /// Returns what may stand in the `Host` header of a request to this site.
    fn hosts(&self) -> impl Iterator<Item = String> {
        let bare = (self.port == self.scheme.default_port()).then(|| self.host.clone());
        bare.into_iter().chain([format!("{}:{}", self.host, self.port)])
    }
}

/// Reads `HOST` or `HOST:PORT`. None where it is neither.
pub(crate) fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.rsplit_once(':') {
        // The colons of an address in brackets are its own.
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
        _ => (text, None),
    };
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !label.is_empty() && label.len() <= 63 && label.chars().all(plain)
    };
    let is_name = host.len() <= 253 && host.split('.').all(is_label);
    (is_address || is_name).then(|| (host.to_ascii_lowercase(), port))
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// The sites as which one port of the server may be reached. Compared as whole texts, so that there is nothing to be
/// parsed differently than a browser does it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sites {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Sites {
    /// Returns the sites of the port that listens at `bound`: this machine's own names, the address where it is one, and
    /// those that the operator names: `hosts` as `NAME` or `NAME:PORT`, and what is before a proxy.
    pub(crate) fn of(scheme: Scheme, bound: SocketAddr, hosts: &[String], public: Option<&Site>) -> Self {
        let here = |host: &str| Site {
            scheme,
            host: host.to_owned(),
            port: bound.port(),
        };
        let mut all = vec![here("localhost"), here("127.0.0.1"), here("[::1]")];
        if !bound.ip().is_unspecified() {
            all.push(Site::at(scheme, bound));
        }
        for named in hosts {
            if let Some((host, port)) = host_and_port(named) {
                all.push(Site {
                    scheme,
                    host,
                    port: port.unwrap_or(bound.port()),
                });
            }
        }
        all.extend(public.cloned());
        Self {
            hosts: all.iter().flat_map(Site::hosts).collect(),
            origins: all.iter().map(Site::origin).collect(),
        }
    }

    /// Returns whether a request with this `Host` header is meant for the server.
    pub(crate) fn has_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// Returns whether this is the origin of one of the server's own pages.
    pub(crate) fn has_origin(&self, origin: &str) -> bool {
        self.origins
            .iter()
            .any(|known| known.eq_ignore_ascii_case(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites() -> Sites {
        let public = Site::from_url("https://factory.example.org").unwrap();
        let hosts = ["lan.example".to_owned(), "box:9000".to_owned()];
        Sites::of(
            Scheme::Http,
            "127.0.0.1:8000".parse().unwrap(),
            &hosts,
            Some(&public),
        )
    }

    #[test]
    fn a_host_is_known_by_its_whole_text() {
        for good in [
            "127.0.0.1:8000",
            "localhost:8000",
            "LOCALHOST:8000",
            "[::1]:8000",
            "lan.example:8000",
            "box:9000",
            "factory.example.org",
            "factory.example.org:443",
        ] {
            assert!(sites().has_host(good), "{good}");
        }
        for bad in [
            "",
            "evil.com",
            "localhost",
            "127.0.0.1",
            "localhost:8001",
            "localhost:80",
            "localhost.evil.com:8000",
            "evil.localhost:8000",
            "localhost.:8000",
            "localhost:8000 ",
            "localhost:08000",
            "user@localhost:8000",
            "127.0.0.2:8000",
            "127.1:8000",
            "0.0.0.0:8000",
            "2130706433:8000",
            "[::ffff:127.0.0.1]:8000",
            "[0:0:0:0:0:0:0:1]:8000",
            "box:8000",
            "factory.example.org:80",
            "localhost:8000,evil.com",
        ] {
            assert!(!sites().has_host(bad), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_known_by_its_whole_text() {
        for good in [
            "http://127.0.0.1:8000",
            "http://localhost:8000",
            "http://[::1]:8000",
            "http://lan.example:8000",
            "https://factory.example.org",
        ] {
            assert!(sites().has_origin(good), "{good}");
        }
        for bad in [
            "null",
            "",
            "https://127.0.0.1:8000",
            "http://localhost",
            "http://localhost:3000",
            "http://127.0.0.1.evil.com",
            "http://127.0.0.1:8000.evil.com",
            "http://127.0.0.1:8000/",
            "http://factory.example.org",
            "file://",
        ] {
            assert!(!sites().has_origin(bad), "{bad}");
        }
    }

    #[test]
    fn an_unspecified_address_is_no_name() {
        let sites = Sites::of(Scheme::Https, "0.0.0.0:443".parse().unwrap(), &[], None);
        assert!(sites.has_host("localhost") && sites.has_host("localhost:443"));
        assert!(!sites.has_host("0.0.0.0") && !sites.has_host("192.168.1.5"));
        let sites = Sites::of(Scheme::Http, "192.168.1.5:8000".parse().unwrap(), &[], None);
        assert!(sites.has_host("192.168.1.5:8000") && sites.has_origin("http://192.168.1.5:8000"));
    }

    #[test]
    fn urls_are_read_strictly() {
        let read = |text| Site::from_url(text).map(|site| site.origin());
        assert_eq!(
            read("https://Factory.example.org/").as_deref(),
            Some("https://factory.example.org")
        );
        assert_eq!(read("http://[::1]:3001").as_deref(), Some("http://[::1]:3001"));
        assert_eq!(read("http://h:80").as_deref(), Some("http://h"));
        for bad in [
            "factory.example.org",
            "ftp://h",
            "https://",
            "https://h/path",
            "https://u:p@h",
            "https://h:port",
            "https://h:99999",
            "https://a..b",
            "https://h?x",
            "https://[::1",
            "https://::1",
        ] {
            assert!(Site::from_url(bad).is_none(), "{bad}");
        }
    }
}
