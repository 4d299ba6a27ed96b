//! One path for one thing: every operation is a [`Request`], carried out by `execute` in the process that owns the
//! data folder, whether it came from this process or over the control socket.

mod activity;
mod client;
mod console_url;
mod credentials;
mod execute;
mod follow;
mod frame;
mod request;
mod server;
mod session;
mod socket;

pub(crate) use client::Asked;
pub(crate) use follow::Streamed;
pub(crate) use request::{Answer, CredentialRequest, Request};
pub(crate) use session::{Link, Session, has_database, look, stream};
pub(crate) use socket::own_uid;
