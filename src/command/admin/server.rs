//! Serves HTTP to clients that nobody controls: with deadlines for TLS handshakes and request headers, and with a bound on
//! connections. `axum::serve` has neither.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use axum::Router;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::tls::Certificates;

/// Deadline for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Deadline for the headers of a request. It also ends a connection without a request.
const HEADERS: Duration = Duration::from_secs(10);
/// Deadline for the answer to a request and everything around it: no connection stays open for longer.
const CONNECTION: Duration = Duration::from_secs(300);
/// Largest number of connections. A probe or a scrape needs one for milliseconds.
const CONNECTIONS: usize = 64;
/// Pause after a failed accept, for example without free file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `stop` is cancelled; over TLS if there are certificates.
///
/// A client that opens more connections than allowed cannot block the others: the oldest connection is closed for a new one.
pub(in crate::command) async fn serve(
    listener: TcpListener,
    router: Router,
    certificates: Option<Certificates>,
    stop: &CancellationToken,
) {
    serve_within(HEADERS, listener, router, certificates, stop).await;
}

async fn serve_within(
    headers: Duration,
    listener: TcpListener,
    router: Router,
    mut certificates: Option<Certificates>,
    stop: &CancellationToken,
) {
    let mut tasks = JoinSet::new();
    let mut open = Connections::default();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
            Some(_) = tasks.join_next() => continue,
            () = stop.cancelled() => return,
        };
        match stream {
            Ok(stream) => {
                let acceptor = certificates
                    .as_mut()
                    .map(|known| TlsAcceptor::from(known.current()));
                let connection = connect(stream, acceptor, router.clone(), headers);
                open.add(tasks.spawn(async move {
                    let _ = tokio::time::timeout(CONNECTION, connection).await;
                }));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The open connections, oldest first.
#[derive(Default)]
struct Connections(VecDeque<AbortHandle>);

impl Connections {
    fn add(&mut self, connection: AbortHandle) {
        self.0.retain(|open| !open.is_finished());
        if self.0.len() >= CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back(connection);
    }
}

async fn connect(stream: TcpStream, acceptor: Option<TlsAcceptor>, router: Router, headers: Duration) {
    let served = match acceptor {
        None => answer(TokioIo::new(stream), router, headers).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => answer(TokioIo::new(stream), router, headers).await,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        },
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to an admin server failed");
    }
}

async fn answer(stream: impl Read + Write + Unpin, router: Router, headers: Duration) -> io::Result<()> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers)
        .serve_connection(stream, TowerToHyperService::new(router))
        .await
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A server of one page, and its address.
    async fn server(headers: Duration) -> (std::net::SocketAddr, tokio_util::sync::DropGuard) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "ok" }));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { serve_within(headers, listener, router, None, &stopped).await });
        (address, stop.drop_guard())
    }

    async fn ask(address: std::net::SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn more_half_sent_requests_than_connections_do_not_block_a_probe_and_the_oldest_are_closed() {
        let (address, _stop) = server(HEADERS).await;
        let mut half_sent = Vec::new();
        for _ in 0..3 * CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            half_sent.push(stream);
        }
        assert!(ask(address).await.starts_with("HTTP/1.1 200"));
        let mut text = Vec::new();
        let oldest = half_sent[0].read_to_end(&mut text).await;
        assert!(oldest.is_err() || text.is_empty(), "it is closed: {text:?}");
    }

    #[tokio::test]
    async fn a_connection_without_a_whole_request_is_closed_after_the_deadline() {
        let (address, _stop) = server(Duration::from_millis(50)).await;
        for sent in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            let mut text = Vec::new();
            // Without the deadline, this waits for ever.
            let _ = stream.read_to_end(&mut text).await;
        }
    }
}
