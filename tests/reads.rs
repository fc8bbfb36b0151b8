//! A read that fails once is repeated with the server's backoff, and not only at the next resync.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{World, fixtures};

/// A proxy in front of the API server that cuts the connection of the first read of one object.
struct CuttingProxy {
    address: SocketAddr,
    cut: Arc<Mutex<Option<String>>>,
    has_cut: Arc<AtomicBool>,
}

impl CuttingProxy {
    /// `path` is the end of the path of the object.
    async fn start(client: Client, path: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let proxy = Self {
            address: listener.local_addr().expect("an address"),
            cut: Arc::new(Mutex::new(Some(path.to_owned()))),
            has_cut: Arc::default(),
        };
        let (cut, has_cut) = (Arc::clone(&proxy.cut), Arc::clone(&proxy.has_cut));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (client, cut, has_cut) = (client.clone(), Arc::clone(&cut), Arc::clone(&has_cut));
                let service =
                    service_fn(move |request| answer(client.clone(), request, cut.clone(), has_cut.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        proxy
    }

    fn has_cut(&self) -> bool {
        self.has_cut.load(Ordering::SeqCst)
    }
}

/// An error ends the connection.
async fn answer(
    client: Client,
    request: Request<Incoming>,
    cut: Arc<Mutex<Option<String>>>,
    has_cut: Arc<AtomicBool>,
) -> Result<Response<Body>, std::io::Error> {
    {
        let mut cut = cut.lock().expect("no panic before");
        let path = request.uri().path();
        if request.method() == Method::GET && cut.as_ref().is_some_and(|end| path.ends_with(end)) {
            *cut = None;
            has_cut.store(true, Ordering::SeqCst);
            return Err(std::io::Error::other("cut"));
        }
    }
    let (mut head, body) = request.into_parts();
    head.headers.remove("host");
    let request = Request::from_parts(head, Body::from(collected(body).await?));
    client.send(request).await.map_err(std::io::Error::other)
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

/// A world whose operator reaches the API server through the proxy.
async fn world_behind(path: &str) -> (World, CuttingProxy) {
    let mut world = World::without_operator("cutread").await;
    let client = world.control_plane().client().expect("a client");
    let proxy = CuttingProxy::start(client, &path.replace("NAMESPACE", &world.namespace)).await;
    let url = format!("http://{}", proxy.address);
    let config = kube::Config::new(url.parse().expect("a URL"));
    world.start_operator_as(config).await;
    (world, proxy)
}

#[tokio::test]
async fn a_server_becomes_ready_although_the_first_read_of_the_secret_of_its_database_is_cut() {
    let (world, proxy) = world_behind("/secrets/files-postgres-pguser-dittofs").await;
    let _simulator = world.percona().await;
    world
        .create(&fixtures::server("files", json!({"percona": {"enabled": true}})))
        .await;
    world.ready("files").await;
    assert!(proxy.has_cut());
}

#[tokio::test]
async fn a_server_becomes_ready_although_the_first_read_of_its_stateful_set_or_of_a_claim_is_cut() {
    for path in [
        "/namespaces/NAMESPACE/statefulsets/files",
        "/namespaces/NAMESPACE/persistentvolumeclaims/controlplane-files-0",
    ] {
        let (world, proxy) = world_behind(path).await;
        let _simulator = world.percona().await;
        world
            .create(&fixtures::server("files", json!({"percona": {"enabled": true}})))
            .await;
        world.ready("files").await;
        assert!(proxy.has_cut(), "{path}");
        let admin = "files-admin-bootstrap-credentials";
        let _: k8s_openapi::api::core::v1::Secret = world.get(admin).await;
    }
}

#[tokio::test]
async fn a_volume_is_expanded_although_the_first_read_of_its_storage_class_is_cut() {
    let (world, proxy) = world_behind("/storageclasses/standard").await;
    let storage = |size: &str| json!({"storage": {"metadataSize": size, "storageClassName": "standard"}});
    world.create(&fixtures::server("files", storage("1Gi"))).await;
    world.ready("files").await;
    let bigger = json!({"spec": storage("2Gi")});
    world
        .merge::<dittofs_operator::api::DittoServer>("files", bigger)
        .await;
    let claim = "metadata-files-0";
    crate::support::wait::until(
        world.api::<k8s_openapi::api::core::v1::PersistentVolumeClaim>(),
        claim,
        "asked for 2Gi",
        |claim| {
            let spec = claim.spec.as_ref();
            let requests = spec.and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
            requests.is_some_and(|requests| requests["storage"].0 == "2Gi")
        },
    )
    .await;
    assert!(proxy.has_cut());
}
