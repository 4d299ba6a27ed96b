//! A model server as the operator names it: its address, what it wants to see of us, and what it may take.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// A model server: where it is, how it knows us, and how long and how much it may take.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address.
    pub base: BaseUrl,
    /// The key, for servers that want one. It goes to this origin alone.
    pub key: Option<Secret>,
    /// In which header the key goes.
    pub key_header: KeyHeader,
    /// More headers, whose values are as secret as the key.
    pub headers: Vec<(String, Secret)>,
    /// More headers, whose values anybody may see.
    pub open_headers: Vec<(String, String)>,
    /// Certificates (PEM) that are trusted beside the system's; empty for none.
    pub certificates: Vec<u8>,
    /// How long and how much it may take.
    pub bounds: Bounds,
}

/// In which header a key goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    #[default]
    Bearer,
    /// `x-api-key: KEY`.
    ApiKey,
}

impl Server {
    /// Returns a server without a key, with the default bounds.
    pub fn new(base: BaseUrl) -> Self {
        Self {
            base,
            key: None,
            key_header: KeyHeader::default(),
            headers: Vec::new(),
            open_headers: Vec::new(),
            certificates: Vec::new(),
            bounds: Bounds::default(),
        }
    }

    /// Returns the headers that every request carries. The error is text for the operator and holds no value.
    pub(super) fn header_map(&self) -> Result<HeaderMap, String> {
        let mut map = HeaderMap::new();
        let mut insert = |name: HeaderName, text: String, what: &str| {
            let mut value = HeaderValue::try_from(text)
                .map_err(|_| format!("its {what} holds characters that no HTTP header can carry"))?;
            value.set_sensitive(true);
            map.insert(name, value);
            Ok::<(), String>(())
        };
        let open = self
            .open_headers
            .iter()
            .map(|(name, value)| (name, value.as_str()));
        let secret = self.headers.iter().map(|(name, value)| (name, value.expose()));
        for (name, value) in open.chain(secret) {
            let header = HeaderName::try_from(name.as_str())
                .map_err(|_| format!("`{name}` is no name of an HTTP header"))?;
            insert(header, value.to_owned(), &format!("header `{name}`"))?;
        }
        if let Some(key) = &self.key {
            match self.key_header {
                KeyHeader::Bearer => insert(AUTHORIZATION, format!("Bearer {}", key.expose()), "key")?,
                KeyHeader::ApiKey => insert(
                    HeaderName::from_static("x-api-key"),
                    key.expose().to_owned(),
                    "key",
                )?,
            }
        }
        Ok(map)
    }

    /// Returns everything that must be shown to nobody.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let values = self.headers.iter().map(|(_, value)| value.clone());
        self.key.clone().into_iter().chain(values).collect()
    }
}

/// A key. It is shown nowhere: `Debug` hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a key, without the white space around it that files and shells leave.
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self(secret.as_ref().trim().to_owned())
    }

    /// Returns the key, to be sent to where it belongs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// How long and how much a model server may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The longest time until the connection stands.
    pub connect: Duration,
    /// The longest time until the first byte of the reply; a model may have to be loaded first.
    pub first_byte: Duration,
    /// The longest silence within the reply.
    pub idle: Duration,
    /// The stretch of a reply in which at least `pace_bytes` have to come: a reply that drips, or holds nothing but
    /// signs of life, is never silent and never ends.
    pub pace: Duration,
    /// The fewest bytes in that stretch.
    pub pace_bytes: usize,
    /// The most bytes of a line of the stream.
    pub line_bytes: usize,
    /// The most bytes of a reply's stream.
    pub reply_bytes: usize,
    /// The most tool calls of a reply.
    pub tool_calls: usize,
    /// The most bytes that are read of an error's body.
    pub error_bytes: usize,
    /// The most bytes of an answer that is no stream, such as the list of models.
    pub answer_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_mins(10),
            idle: Duration::from_mins(2),
            pace: Duration::from_mins(10),
            pace_bytes: 1024,
            line_bytes: 1024 * 1024,
            reply_bytes: 16 * 1024 * 1024,
            tool_calls: 128,
            error_bytes: 8 * 1024,
            answer_bytes: 4 * 1024 * 1024,
        }
    }
}

/// A server's base address: `http` or `https`, without credentials, query and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Parses an address. The error is text for the operator and never repeats the address, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("its address is no URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("its address must begin with http:// or https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("its address holds credentials; give the key apart from the address".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("its address must end with the path, without ? and #".to_owned());
        }
        Ok(Self(url))
    }

    /// Appends a path if the address is a bare origin.
    #[must_use]
    pub fn or_path(mut self, path: &str) -> Self {
        if matches!(self.0.path(), "" | "/") {
            self.0.set_path(path);
        }
        self
    }

    /// Returns scheme, host and port: what errors name, and what a key belongs to.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Returns whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns the address of a path at the origin, beside what this address begins with.
    pub(super) fn at_origin(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }

    pub(super) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let joined = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&joined);
        url
    }
}
