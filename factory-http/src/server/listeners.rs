//! The ports, bound.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::listening::Listening;
use super::tls;
use crate::failure::Failure;
use crate::guard::{Site, Sites};

/// How many open files are asked of the system, at most: connections are files.
const WANTED_FILES: u64 = 1 << 16;

/// A bound port.
#[derive(Debug)]
pub(crate) struct Port {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<Tls>,
    /// Where it is bound; the number is never 0.
    pub(crate) address: SocketAddr,
    /// Under which names it may be called.
    pub(crate) sites: Arc<Sites>,
    /// Its address for whoever is to open it.
    pub(crate) url: String,
}

/// What speaks TLS. Shown without its keys.
#[derive(Clone)]
pub(super) struct Tls(pub(super) TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// The server's ports, bound and not served yet.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// For programs.
    pub(crate) api: Port,
    /// For browsers.
    pub(crate) console: Port,
}

impl Listeners {
    /// Binds both ports. Refused: ports that are taken, certificates that cannot be used, and plain HTTP where other
    /// machines could listen.
    pub(crate) async fn bind(listening: &Listening) -> Result<Self, Failure> {
        listening.check()?;
        prepare_process();
        let tls = match listening.tls.clone() {
            None => None,
            Some(files) => Some(Tls(tokio::task::spawn_blocking(move || tls::acceptor(&files))
                .await
                .map_err(|error| {
                    Failure::caused("reading the certificate broke off", &error)
                })??)),
        };
        let api = bind(listening, listening.listen, tls.clone(), "--listen").await?;
        let mut console = bind(listening, listening.console, tls, "--console").await?;
        if let Some(public) = &listening.public_url {
            console.url = public.origin();
        }
        Ok(Self { api, console })
    }
}

async fn bind(
    listening: &Listening,
    wanted: SocketAddr,
    tls: Option<Tls>,
    flag: &str,
) -> Result<Port, Failure> {
    let listener = TcpListener::bind(wanted)
        .await
        .map_err(|error| cannot_bind(wanted, flag, &error))?;
    let address = listener
        .local_addr()
        .map_err(|error| cannot_bind(wanted, flag, &error))?;
    let scheme = listening.scheme();
    let reached = match address {
        any if !any.ip().is_unspecified() => any,
        any => SocketAddr::from(([127, 0, 0, 1], any.port())),
    };
    Ok(Port {
        listener,
        tls,
        address,
        sites: Arc::new(Sites::of(
            scheme,
            address,
            &listening.hosts,
            listening.public_url.as_ref(),
        )),
        url: Site::at(scheme, reached).origin(),
    })
}

fn cannot_bind(address: SocketAddr, flag: &str, error: &io::Error) -> Failure {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => Failure::failed(format!(
            "port {port} is taken: another program listens at `{address}`"
        ))
        .with_remedy(format!(
            "`ss -ltnp sport = :{port}` shows which; end it, or choose another port with {flag} ADDRESS:PORT"
        )),
        io::ErrorKind::AddrNotAvailable => {
            Failure::usage(format!("this machine has no address `{}`", address.ip())).with_remedy(format!(
                "`ip address` shows those it has; give one with {flag} ADDRESS:PORT"
            ))
        }
        io::ErrorKind::PermissionDenied => Failure::failed(format!("you may not listen on port {port}"))
            .with_remedy(format!(
                "ports below 1024 are the system's; choose another with {flag} ADDRESS:PORT"
            )),
        _ => Failure::caused(format!("cannot listen at `{address}`"), error),
    }
}

/// Lets the process have as many connections as the system allows within reason, and leave no memory image behind when
/// it dies: it would have secrets in it. (It stays open to debuggers of the same user: closed to them, it could not look
/// at its own descriptors, on which the sandbox depends.)
fn prepare_process() {
    let files = getrlimit(Resource::Nofile);
    let most = files.maximum.map_or(WANTED_FILES, |most| most.min(WANTED_FILES));
    if files.current.is_some_and(|now| now < most) {
        let wanted = Rlimit {
            current: Some(most),
            ..files
        };
        if let Err(error) = setrlimit(Resource::Nofile, wanted) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
    let images = getrlimit(Resource::Core);
    let none = Rlimit {
        current: Some(0),
        ..images
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "memory images of crashes cannot be ruled out");
    }
}
