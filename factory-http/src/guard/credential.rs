//! The credential of a request: on the API's port a bearer token, on the browser's port a cookie with the secret of its
//! page. Nothing else is looked at: no query, which ends in logs, and no cookie on the API's port.

use factory_core::factory::credentials::{Credentials, Holder};
use poem::Request;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::gate::Demand;
use super::origin::is_socket;
use crate::problem::Problem;

/// The header in which a page sends its secret.
pub(crate) const PAGE_HEADER: &str = "x-factory-page";

/// What precedes a page's secret where it is sent as a subprotocol, since browsers let no page set a socket's headers.
const PAGE_PROTOCOL: &str = "factory.page.";

/// How many cookies of our name are tried. Pages of other ports can set cookies of this name too, which must not keep
/// the right one from being found.
const MAX_COOKIES: usize = 8;

/// Longer texts than this are no secrets.
const MAX_SECRET: usize = 128;

/// What was found of a credential.
pub(super) enum Found {
    /// It holds.
    Holder(Holder),
    /// There is none, or none in the right place.
    Nothing,
    /// There is one that does not hold.
    Wrong,
}

/// Looks for the credential that is demanded.
pub(super) fn find(request: &Request, demand: Demand, cookie_name: &str, credentials: &Credentials) -> Found {
    match demand {
        Demand::Nothing => Found::Nothing,
        Demand::Token => match bearer(request.headers()) {
            None => Found::Nothing,
            Some(token) => found(credentials.authenticate(token)),
        },
        Demand::Session => {
            let cookies = cookies(request.headers(), cookie_name);
            let page = page_secret(request);
            match page {
                Some(page) if !cookies.is_empty() => found(
                    cookies
                        .iter()
                        .find_map(|cookie| credentials.authenticate_session(cookie, page)),
                ),
                _ => Found::Nothing,
            }
        }
    }
}

fn found(holder: Option<Holder>) -> Found {
    holder.map_or(Found::Wrong, Found::Holder)
}

/// Returns the bearer token. None where there are two headers, or another scheme.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = only(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && is_secret(token)).then_some(token)
}

/// Returns the values of all cookies of that name.
fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let texts = headers.get_all(header::COOKIE).iter();
    texts
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, value)| *found == name && is_secret(value))
        .map(|(_, value)| value)
        .take(MAX_COOKIES)
        .collect()
}

fn page_secret(request: &Request) -> Option<&str> {
    let headers = request.headers();
    let secret = match only(headers, PAGE_HEADER) {
        Some(secret) => Some(secret),
        None if is_socket(request) => protocols(headers).find_map(|name| name.strip_prefix(PAGE_PROTOCOL)),
        None => None,
    };
    secret.filter(|secret| is_secret(secret))
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
}

/// Returns the header's text where it is there once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn is_secret(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_SECRET).contains(&text.len()) && text.bytes().all(plain)
}

/// Takes the secrets out of a request, so that no handler, log or error has them.
pub(super) fn strip(headers: &mut HeaderMap) {
    headers.remove(header::AUTHORIZATION);
    headers.remove(header::COOKIE);
    headers.remove(PAGE_HEADER);
    let kept: Vec<_> = protocols(headers)
        .filter(|name| !name.starts_with(PAGE_PROTOCOL))
        .collect();
    let kept = kept.join(", ");
    if headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
        if let Ok(value) = HeaderValue::try_from(kept)
            && !value.is_empty()
        {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
        }
    }
}

/// Returns what is answered where no credential, or one that does not hold, came with a request.
pub(super) fn refused(demand: Demand, found: &Found) -> Problem {
    let what = match found {
        Found::Wrong => "does not hold; it may have been revoked, or have lapsed",
        _ => "is missing",
    };
    match demand {
        Demand::Session => {
            let detail = format!("the browser session {what}; `factory login` prints a link that opens one");
            Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
        }
        Demand::Token | Demand::Nothing => {
            let detail = format!(
                "the token {what}; send `Authorization: Bearer TOKEN`, where `factory token` prints yours and \
                 `factory token add NAME` makes one for another program"
            );
            Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail).with_header(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"factory\""),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn a_bearer_token_is_read_from_one_header() {
        let read = |value: &str| bearer(&headers(&[("authorization", value)])).map(str::to_owned);
        assert_eq!(read("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(read("bearer  a-b_c").as_deref(), Some("a-b_c"));
        for bad in [
            "abc",
            "Basic abc",
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a,b",
            "BearerX abc",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&format!("Bearer {}", "a".repeat(129))), None);
        let twice = headers(&[("authorization", "Bearer a"), ("authorization", "Bearer a")]);
        assert_eq!(bearer(&twice), None);
    }

    #[test]
    fn every_cookie_of_the_name_is_found() {
        let map = headers(&[
            ("cookie", "a=1; s=one;s=two; xs=no"),
            ("cookie", "s=three; s=four=five; s"),
        ]);
        assert_eq!(cookies(&map, "s"), ["one", "two", "three"]);
        assert!(cookies(&map, "S").is_empty());
    }

    #[test]
    fn a_pages_secret_comes_as_a_protocol_of_a_socket_alone() {
        let offered = ("sec-websocket-protocol", "factory.v1, factory.page.abc");
        let request = |pairs: &[(&'static str, &str)]| {
            let mut request = Request::default();
            *request.headers_mut() = headers(pairs);
            request
        };
        let socket = request(&[("upgrade", "websocket"), offered]);
        assert_eq!(page_secret(&socket), Some("abc"));
        assert_eq!(page_secret(&request(&[offered])), None);
        assert_eq!(page_secret(&request(&[("x-factory-page", "abc")])), Some("abc"));
    }

    #[test]
    fn secrets_are_taken_out() {
        let mut map = headers(&[
            ("authorization", "Bearer secret"),
            ("cookie", "s=secret"),
            ("x-factory-page", "secret"),
            ("sec-websocket-protocol", "factory.v1, factory.page.secret"),
            ("sec-websocket-protocol", "factory.page.secret"),
            ("accept", "*/*"),
        ]);
        strip(&mut map);
        assert_eq!(
            map,
            headers(&[("accept", "*/*"), ("sec-websocket-protocol", "factory.v1")])
        );
        let mut map = headers(&[("sec-websocket-protocol", "factory.page.secret")]);
        strip(&mut map);
        assert!(map.is_empty());
    }
}
