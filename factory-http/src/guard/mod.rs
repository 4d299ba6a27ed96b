//! What stands before every route: who asks, from where, and how much.
//!
//! Two layers. The [`front`] stands before everything that a port serves: it knows the host names under which the server
//! may be reached, turns every refusal and every error into a problem, and adds the headers that keep browsers in check.
//! The [`gate`] stands before what needs a credential: it looks at where a request comes from, finds out who asks,
//! and only then reads the body, which it bounds. A credential is looked for in one place alone, a header; a cookie
//! counts only together with a secret that other ports of the same machine do not get.

mod body;
mod credential;
mod failures;
mod front;
mod gate;
mod headers;
mod limits;
mod origin;
mod principal;
mod sites;

pub(crate) use failures::{FailureQuota, Failures};
pub(crate) use front::Front;
pub(crate) use gate::{Demand, Gate, GateSettings};
pub(crate) use headers::Shown;
pub(crate) use limits::RouteLimits;
pub(crate) use principal::{Admin, Asker, Operator, Principal, Viewer};
pub(crate) use sites::{Scheme, Site, Sites, host_and_port};

/// The subprotocol that sockets select, so that browsers, which offer it beside their page's secret, accept the answer.
pub(crate) const SOCKET_PROTOCOL: &str = "factory.v1";
