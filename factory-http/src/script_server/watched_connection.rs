//! Connections that tell when their client has gone.
//!
//! The HTTP server goes on with a request after its connection has ended, and finds out only when it writes. A model
//! that is silent for an hour would not see for an hour that nobody waits any more, so the reading side is watched
//! here: the server reads ahead while it works on a request, and meets the end of the stream.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// The connections that stand, by the client's address.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Mutex<HashMap<SocketAddr, CancellationToken>>>);

impl Connections {
    /// Returns a token that is cancelled when the client has gone; at once, if no such client is there.
    pub(super) fn gone(&self, client: &RemoteAddr) -> CancellationToken {
        let token = client
            .as_socket_addr()
            .and_then(|client| self.lock().get(client).cloned());
        token.unwrap_or_else(|| {
            let token = CancellationToken::new();
            token.cancel();
            token
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes connections and watches them.
#[derive(Debug)]
pub(super) struct WatchingAcceptor<A> {
    pub(super) inner: A,
    pub(super) connections: Connections,
}

impl<A: Acceptor> Acceptor for WatchingAcceptor<A> {
    type Io = WatchedConnection<A::Io>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.inner.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        let (inner, local, remote, scheme) = self.inner.accept().await?;
        let gone = CancellationToken::new();
        let client = remote.as_socket_addr().copied();
        if let Some(client) = client {
            self.connections.lock().insert(client, gone.clone());
        }
        let connection = WatchedConnection {
            inner,
            gone,
            client,
            connections: self.connections.clone(),
        };
        Ok((connection, local, remote, scheme))
    }
}

/// A connection whose end is told.
#[derive(Debug)]
pub(super) struct WatchedConnection<S> {
    inner: S,
    gone: CancellationToken,
    client: Option<SocketAddr>,
    connections: Connections,
}

impl<S> Drop for WatchedConnection<S> {
    fn drop(&mut self) {
        self.gone.cancel();
        if let Some(client) = self.client {
            // A new connection may already have the same address; its token is not cancelled.
            let mut connections = self.connections.lock();
            if connections
                .get(&client)
                .is_some_and(CancellationToken::is_cancelled)
            {
                connections.remove(&client);
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedConnection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let result = ready!(Pin::new(&mut self.inner).poll_read(context, buffer));
        if result.is_err() || (room > 0 && buffer.filled().len() == before) {
            self.gone.cancel();
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedConnection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
