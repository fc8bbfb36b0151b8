//! A bucket of a real S3 server for one test. The test can cut the connection that DittoFS servers use.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use k8s_openapi::api::core::v1::Secret;
use local_control_plane::s3::{Keys, S3Server};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::fixtures;
use super::process::POLL;
use super::wait::LONGEST;

/// The name of the remote store, and of the Secret with its keys.
pub const STORE: &str = "cold";

/// The keys of most tests.
pub fn keys() -> Keys {
    Keys {
        id: "files".into(),
        secret: "the secret key of the bucket".into(),
    }
}

/// A bucket, behind a connection that can be cut.
pub struct Bucket {
    server: S3Server,
    line: Line,
    keys: Keys,
}

impl Bucket {
    /// An empty bucket of an S3 server with this account.
    pub async fn start(keys: Keys) -> Self {
        let server = S3Server::start(keys.clone(), "files").await;
        let server = server.expect("the S3 server starts");
        let line = Line::to(server.address()).await;
        Self { server, line, keys }
    }

    /// The Secret with the keys.
    pub fn secret(&self) -> Secret {
        let keys = [
            ("accessKeyID", self.keys.id.as_str()),
            ("secretAccessKey", self.keys.secret.as_str()),
        ];
        fixtures::secret(STORE, &keys)
    }

    /// Replaces its keys. It refuses the former ones then.
    pub async fn rotate(&mut self, keys: Keys) {
        self.keys = keys.clone();
        let rotated = self.server.rotate(keys).await;
        rotated.expect("the S3 server starts again");
    }

    /// The item of `spec.remoteStores`.
    pub fn store(&self) -> Value {
        let s3 = json!({
            "bucket": self.server.bucket(), "endpoint": format!("http://{}", self.line.address), "region": "us-east-1",
            "forcePathStyle": true, "allowPrivateEndpoint": true, "credentialsSecretRef": {"name": STORE},
        });
        json!({"name": STORE, "s3": s3})
    }

    /// The keys of all objects.
    pub fn objects(&self) -> Vec<String> {
        self.server.objects().expect("the objects can be listed")
    }

    /// Waits until the bucket has an object that is not one of these.
    pub async fn until_more_than(&self, before: &[String]) -> Vec<String> {
        let deadline = Instant::now() + LONGEST;
        loop {
            let objects = self.objects();
            if objects.iter().any(|object| !before.contains(object)) {
                return objects;
            }
            assert!(Instant::now() < deadline, "nothing was uploaded: {objects:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Cuts all connections to it, and closes new ones at once.
    pub fn cut(&self) {
        self.line.state.send_replace(Traffic::Cut);
    }

    /// Lets nothing through, and closes no connection: whoever calls waits for an answer.
    pub fn silence(&self) {
        self.line.state.send_replace(Traffic::Silent);
    }

    /// Lets connections through again.
    pub fn reconnect(&self) {
        self.line.state.send_replace(Traffic::Open);
    }
}

/// What happens to connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Traffic {
    Open,
    Cut,
    Silent,
}

/// Forwards TCP connections while it is open.
struct Line {
    address: SocketAddr,
    state: watch::Sender<Traffic>,
    task: AbortHandle,
}

impl Line {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (state, traffic) = watch::channel(Traffic::Open);
        let accepting = async move {
            while let Ok((stream, _)) = listener.accept().await {
                // An error ends the connection, which is what its client sees.
                tokio::spawn(forward(stream, target, traffic.clone()));
            }
        };
        let task = tokio::spawn(accepting).abort_handle();
        Self { address, state, task }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(
    mut client: TcpStream,
    target: SocketAddr,
    mut traffic: watch::Receiver<Traffic>,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    let is_open = *traffic.borrow() == Traffic::Open;
    tokio::select! {
        copied = tokio::io::copy_bidirectional(&mut client, &mut server), if is_open => {
            return copied.map(|_| ());
        }
        _ = traffic.wait_for(|now| *now != Traffic::Open) => {}
    }
    // A silent connection is held until others are let through, and closed then.
    let _ = traffic.wait_for(|now| *now != Traffic::Silent).await;
    Ok(())
}
