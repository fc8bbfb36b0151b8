//! A proxy in front of the API server that lets a number of writes pass, and then nothing any more: for the API server, the operator
//! behind it was killed.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http::{Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use tokio::net::TcpListener;

use super::process::POLL;
use super::wait;

/// How many writes pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    All,
    Some(usize),
    Killed,
}

/// The proxy.
pub struct KillSwitch {
    address: SocketAddr,
    left: Arc<Mutex<Left>>,
}

impl KillSwitch {
    /// A proxy that lets everything pass.
    pub async fn start(client: Client) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let switch = Self {
            address: listener.local_addr().expect("an address"),
            left: Arc::new(Mutex::new(Left::All)),
        };
        let left = Arc::clone(&switch.left);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (client, left) = (client.clone(), Arc::clone(&left));
                let service = service_fn(move |request| answer(client.clone(), request, Arc::clone(&left)));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        switch
    }

    /// The configuration of an operator behind the proxy.
    pub fn config(&self) -> kube::Config {
        kube::Config::new(format!("http://{}", self.address).parse().expect("a URL"))
    }

    /// From now on, this many writes pass; the answer of the last one does not arrive.
    pub fn kill_at_write(&self, number: usize) {
        *self.left.lock().expect("no panic before") = Left::Some(number);
    }

    /// Waits until the operator is cut off, or until `done` says that there is no further write. Whether it is cut off.
    pub async fn killed_before(&self, done: impl AsyncFn() -> bool) -> bool {
        let deadline = Instant::now() + wait::LONGEST * 2;
        while *self.left.lock().expect("no panic before") != Left::Killed {
            if done().await {
                return false;
            }
            assert!(Instant::now() < deadline, "neither killed nor done");
            tokio::time::sleep(POLL).await;
        }
        true
    }
}

/// Whether a request changes a child or its server. Events and dry runs do not.
fn is_counted(request: &Request<Incoming>) -> bool {
    let (uri, method) = (request.uri(), request.method());
    let asks_only = uri.query().is_some_and(|query| query.contains("dryRun=All"));
    method != Method::GET && !asks_only && !uri.path().ends_with("/events")
}

/// An error ends the connection.
async fn answer(
    client: Client,
    request: Request<Incoming>,
    left: Arc<Mutex<Left>>,
) -> Result<Response<Body>, std::io::Error> {
    let killed = || std::io::Error::other("killed");
    {
        let mut left = left.lock().expect("no panic before");
        *left = match *left {
            Left::Killed | Left::Some(0) => return Err(killed()),
            Left::Some(1) if is_counted(&request) => Left::Killed,
            Left::Some(writes) if is_counted(&request) => Left::Some(writes - 1),
            unchanged => unchanged,
        };
    }
    let (mut head, body) = request.into_parts();
    head.headers.remove("host");
    let request = Request::from_parts(head, Body::from(collected(body).await?));
    let answer = client.send(request).await.map_err(std::io::Error::other)?;
    if *left.lock().expect("no panic before") == Left::Killed {
        return Err(killed());
    }
    Ok(answer)
}

async fn collected(mut body: Incoming) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame.map_err(std::io::Error::other)?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}
