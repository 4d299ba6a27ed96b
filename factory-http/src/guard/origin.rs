//! Where a request comes from, as browsers tell it. Pages of other sites, and of other ports of this machine, are
//! refused whatever credential their browser would add.

use poem::Request;
use poem::http::{Method, StatusCode, header};

use super::gate::Demand;
use super::sites::Sites;
use crate::problem::Problem;

/// What browsers say of a request that a page of the same origin, or the user alone, made. `same-site` is none of
/// them: every port of a machine is the same site.
const OWN: [&str; 2] = ["same-origin", "none"];

/// Refuses a request that a page of elsewhere made.
pub(super) fn check(request: &Request, sites: &Sites, demand: Demand) -> Result<(), Problem> {
    let mut origins = request.headers().get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => {
            // Browsers always name the origin of what changes something and of sockets, and a session's cookie is
            // nobody's but a browser's.
            if demand != Demand::Token && (is_socket(request) || !is_safe(request.method())) {
                return Err(foreign("the request names no origin"));
            }
        }
        (Some(origin), None) if origin.to_str().is_ok_and(|origin| sites.has_origin(origin)) => {}
        (Some(_), _) => return Err(foreign("the request comes from a page of another origin")),
    }
    let mut fetched = request.headers().get_all("sec-fetch-site").iter();
    match (fetched.next(), fetched.next()) {
        (None, _) => Ok(()),
        (Some(site), None) if OWN.iter().any(|own| site.as_bytes() == own.as_bytes()) => Ok(()),
        (Some(_), _) => Err(foreign("the request comes from a page of another site or port")),
    }
}

/// Returns whether the request wants to become a socket.
pub(super) fn is_socket(request: &Request) -> bool {
    request.headers().contains_key(header::UPGRADE)
}

/// Returns whether the method changes nothing.
pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn foreign(what: &str) -> Problem {
    let detail = format!(
        "{what}; only the server's own pages and programs with a token may ask, and names that a proxy uses are set as \
         `public_url` and `hosts` in the `[server]` table of factory.toml"
    );
    Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail)
}
