//! The gate at the socket: a write is rejected right before the system call.
//!
//! Between [`super::gate::GateLayer`] and the network are a connection pool, retries and TLS. A process that is stopped there and
//! continued a minute later would send a request that was allowed a minute ago. This check has nothing after it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower::Service;

use super::gate::{Closed, Gate};

/// Opens connections that write only while the gate is open.
#[derive(Clone, Debug)]
pub struct GatedConnector<C> {
    inner: C,
    gate: Gate,
}

impl<C> GatedConnector<C> {
    /// Wraps a connector.
    pub fn new(inner: C, gate: Gate) -> Self {
        Self { inner, gate }
    }
}

impl<C> Service<Uri> for GatedConnector<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
{
    type Response = GatedStream<C::Response>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let gate = self.gate.clone();
        Box::pin(async move {
            let inner = connecting.await?;
            Ok(GatedStream { inner, gate })
        })
    }
}

/// A connection that writes only while the gate is open.
#[derive(Debug)]
pub struct GatedStream<T> {
    inner: T,
    gate: Gate,
}

impl<T> GatedStream<T> {
    fn check(&self) -> io::Result<()> {
        if self.gate.is_open() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, Closed))
        }
    }
}

impl<T: Connection> Connection for GatedStream<T> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}

impl<T: Read + Unpin> Read for GatedStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: Write + Unpin> Write for GatedStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.inner).poll_write_vectored(context, bytes)
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;
    use std::time::Duration;

    use hyper_util::rt::TokioIo;
    use tokio::net::TcpStream;

    use super::super::gate::ClockReading;
    use super::*;

    async fn write(stream: &mut GatedStream<TokioIo<TcpStream>>) -> io::Result<usize> {
        std::future::poll_fn(|context| Pin::new(&mut *stream).poll_write(context, b"x")).await
    }

    // invariant: 18
    #[tokio::test]
    async fn no_byte_passes_once_the_gate_is_closed_although_the_connection_is_open() {
        let seconds = Duration::from_secs;
        let gate = Gate::elected(seconds(10), seconds(5));
        gate.renewed(ClockReading::now());
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let mut stream = GatedStream {
            inner: TokioIo::new(near),
            gate: gate.clone(),
        };
        assert_eq!(write(&mut stream).await.unwrap(), 1);
        gate.close();
        assert!(write(&mut stream).await.is_err());
        drop(stream);
        let mut arrived = Vec::new();
        far.read_to_end(&mut arrived).unwrap();
        assert_eq!(arrived, b"x");
    }
}
