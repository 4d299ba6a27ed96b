//! A signed POST to an address of the operator's choice.
//!
//! The signature is over the body's bytes as sent. Redirects are not followed, so that what is told goes nowhere else, and
//! the address is shown nowhere: with many services it is a secret itself.

use std::fmt;
use std::time::Duration;

use factory_core::chain;
use factory_core::llm::server::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use poem::http::StatusCode;
use reqwest::{Client, Url, redirect};
use sha2::Sha256;

use super::Outcome;
use super::notice::Notice;

/// How long it may take until the connection stands.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long the whole of it may take. A receiver that has more to do answers first and does it then.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The longest time for which a receiver is left alone because it says so.
const LONGEST_AFTER: Duration = Duration::from_hours(1);

/// Where a webhook is sent: `http` or `https`, without credentials.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WebhookUrl(Url);

impl WebhookUrl {
    /// Reads an address. The error is text for the operator and never repeats the address.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("it is no URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it must begin with http:// or https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a user's name or password, which is not sent; remove it".to_owned());
        }
        Ok(Self(url))
    }

    /// Returns scheme, host and port, which may be shown.
    pub(super) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WebhookUrl({}/…)", self.origin())
    }
}

/// A way to one receiver.
#[derive(Debug)]
pub(super) struct Webhook {
    client: Client,
    url: WebhookUrl,
    secret: Secret,
    within: Duration,
}

impl Webhook {
    pub(super) fn new(url: WebhookUrl, secret: Secret) -> Result<Self, String> {
        let client = Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .redirect(redirect::Policy::none())
            // There is little to tell; a connection that is kept may be closed by then.
            .pool_max_idle_per_host(0)
            .referer(false)
            .no_proxy()
            .user_agent(concat!("ai-dev-factory/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("no HTTP client can be made: {}", chain(&error)))?;
        Ok(Self {
            client,
            url,
            secret,
            within: ANSWER_WITHIN,
        })
    }

    /// Returns the same with another deadline.
    #[cfg(test)]
    pub(super) fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    pub(super) fn origin(&self) -> String {
        self.url.origin()
    }

    pub(super) async fn tell(&self, notice: &Notice) -> Outcome {
        let request = self
            .client
            .post(self.url.0.clone())
            .header("content-type", "application/json")
            .header("x-factory-delivery", &notice.id)
            .header("x-factory-signature", signature(&self.secret, &notice.body))
            .timeout(self.within)
            .body(notice.body.clone());
        match request.send().await {
            // What it answers beside the status is not read.
            Ok(response) => {
                let after = response.headers().get("retry-after");
                judge(response.status(), after.and_then(|value| value.to_str().ok()))
            }
            Err(error) => Outcome::Unanswered {
                why: chain(&error.without_url()),
                at_least: Duration::ZERO,
            },
        }
    }
}

/// Returns the value of the header by which a receiver knows that a body is ours and whole.
fn signature(secret: &Secret, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("a key of any length makes an HMAC");
    mac.update(body);
    mac.finalize()
        .into_bytes()
        .iter()
        .fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Returns what an answer means. That the receiver has too much to do, or that it is its proxy that answers, says nothing
/// of what was told.
fn judge(status: StatusCode, retry_after: Option<&str>) -> Outcome {
    if status.is_success() {
        return Outcome::Told;
    }
    let at_least = retry_after
        .and_then(|text| text.trim().parse().ok())
        .map_or(Duration::ZERO, Duration::from_secs)
        .min(LONGEST_AFTER);
    let why = if status.is_redirection() {
        format!("it answers {status}, and redirects are not followed")
    } else {
        format!("it answers {status}")
    };
    match status.as_u16() {
        408 | 429 | 502..=504 => Outcome::Unanswered { why, at_least },
        _ => Outcome::Refused { why, at_least },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_hmac_of_the_body() {
        // RFC 4231, test case 2.
        let signed = signature(&Secret::new("Jefe"), b"what do ya want for nothing?");
        assert_eq!(
            signed,
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn an_address_is_plain_and_shown_nowhere() {
        let url = WebhookUrl::parse("https://hooks.example.org:8443/s3cret?key=s3cret").unwrap();
        assert_eq!(format!("{url:?}"), "WebhookUrl(https://hooks.example.org:8443/…)");
        for bad in [
            "hooks.example.org",
            "ftp://x/",
            "https://ann:s3cret@x/",
            "https://s3cret@x/",
            "",
        ] {
            let problem = WebhookUrl::parse(bad).unwrap_err();
            assert!(!problem.contains("s3cret"), "{problem}");
        }
    }

    #[test]
    fn answers_say_whose_fault_it_is() {
        let judged =
            |status: u16, after: Option<&str>| match judge(StatusCode::from_u16(status).unwrap(), after) {
                Outcome::Told => "told".to_owned(),
                Outcome::Refused { at_least, .. } => format!("refused {at_least:?}"),
                Outcome::Unanswered { at_least, .. } => format!("unanswered {at_least:?}"),
            };
        for (status, after, expected) in [
            (200, None, "told"),
            (204, Some("9"), "told"),
            (302, None, "refused 0ns"),
            (401, None, "refused 0ns"),
            (500, None, "refused 0ns"),
            (503, Some("120"), "unanswered 120s"),
            (429, Some("9999999"), "unanswered 3600s"),
            (429, Some("Wed, 21 Oct 2026 07:28:00 GMT"), "unanswered 0ns"),
        ] {
            assert_eq!(judged(status, after), expected, "{status}");
        }
    }
}
