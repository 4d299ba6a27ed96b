//! Connections, from their acceptance to their end. The framework's own server sets no timer, so that a client could
//! send its headers for ever, and turns round without a pause where nothing can be accepted; hence this one, which
//! speaks HTTP/1.1 alone.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Response};
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::listeners::{Port, Tls};
use super::seats::{self, Seated};

/// What the system may hold for a client that does not read, in bytes; Linux takes twice as much for its own records.
const SEND_BUFFER: usize = 128 << 10;

/// The pause after nothing could be accepted: without descriptors, the next attempt would fail as fast as the last.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The most bytes of a request's head.
const MAX_HEAD: usize = 64 << 10;

/// The most headers of a request.
const MAX_HEADERS: usize = 100;

/// How many connections there may be, and how long they are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionLimits {
    /// At the same time, sockets included; more wait to be accepted.
    pub(crate) most: usize,
    /// From when a request may come until its head is there, and for the handshake of TLS. What is kept open and says
    /// nothing is closed after that time, too.
    pub(crate) head: Duration,
    /// For what is under way when the server ends.
    pub(crate) farewell: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            most: seats::of_a_port(),
            head: Duration::from_secs(10),
            farewell: Duration::from_secs(5),
        }
    }
}

/// Serves a port until `ending` is cancelled.
pub(super) async fn serve<E>(port: Port, endpoint: E, limits: ConnectionLimits, ending: &CancellationToken)
where
    E: Endpoint<Output = Response> + 'static,
{
    let seats = Arc::new(Semaphore::new(limits.most));
    let service = Arc::new(Service {
        endpoint,
        local: port.address,
        tls: port.tls,
        limits,
        ending: ending.clone(),
    });
    let mut connections = JoinSet::new();
    loop {
        let seat = tokio::select! {
            () = ending.cancelled() => break,
            seat = Arc::clone(&seats).acquire_owned() => seat.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = ending.cancelled() => break,
            accepted = port.listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                let service = Arc::clone(&service);
                connections.spawn(async move { service.converse(stream, client, seat).await });
            }
            // A client that went again before it was accepted is no reason to pause.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, address = %service.local, "a connection could not be accepted");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(port.listener);
    let farewell = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.farewell, farewell).await.is_err() {
        connections.shutdown().await;
    }
}

struct Service<E> {
    endpoint: E,
    local: SocketAddr,
    tls: Option<Tls>,
    limits: ConnectionLimits,
    ending: CancellationToken,
}

impl<E: Endpoint<Output = Response> + 'static> Service<E> {
    async fn converse(self: Arc<Self>, stream: TcpStream, client: SocketAddr, seat: OwnedSemaphorePermit) {
        // Answers are small, and events must not wait to be gathered.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection gathers what it sends");
        }
        // The system lets it grow to several megabytes, which a client that never reads would hold.
        if let Err(error) = set_socket_send_buffer_size(&stream, SEND_BUFFER) {
            tracing::debug!(%error, "a connection's send buffer keeps its size");
        }
        let Some(tls) = self.tls.clone() else {
            let stream = Seated {
                inner: stream,
                _seat: seat,
            };
            return self.speak(stream, client, Scheme::HTTP).await;
        };
        match timeout(self.limits.head, tls.0.accept(stream)).await {
            Ok(Ok(stream)) => {
                let stream = Seated {
                    inner: stream,
                    _seat: seat,
                };
                self.speak(stream, client, Scheme::HTTPS).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a client does not speak TLS with us"),
            Err(_) => tracing::debug!("a client took too long to speak TLS"),
        }
    }

    async fn speak<S>(self: Arc<Self>, stream: S, client: SocketAddr, scheme: Scheme)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let answer = {
            let service = Arc::clone(&self);
            move |request: poem::http::Request<Incoming>| {
                let service = Arc::clone(&service);
                let local = LocalAddr(Addr::SocketAddr(service.local));
                let client = RemoteAddr(Addr::SocketAddr(client));
                let scheme = scheme.clone();
                async move {
                    let request = (request, local, client, scheme).into();
                    let response = service.endpoint.get_response(request).await;
                    Ok::<_, Infallible>(poem::http::Response::from(response))
                }
            }
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .with_upgrades();
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.ending.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended before its time");
        }
    }
}
