//! An API server behind a proxy.

use std::io::{BufRead, BufReader, Write, copy};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use dittofs_operator::cluster::client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::process::Process;
use crate::support::{World, account, fixtures};

/// The requests that opened each tunnel.
type Heads = Arc<Mutex<Vec<String>>>;

/// A proxy that opens tunnels (HTTP CONNECT).
fn proxy() -> (SocketAddr, Heads) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let heads = Heads::default();
    let seen = Arc::clone(&heads);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let seen = Arc::clone(&seen);
            thread::spawn(move || tunnel(&client, &seen));
        }
    });
    (address, heads)
}

fn tunnel(mut client: &TcpStream, seen: &Heads) -> std::io::Result<()> {
    let mut from_client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        from_client.read_line(&mut head)?;
    }
    let server = TcpStream::connect(head.split(' ').nth(1).unwrap_or_default())?;
    seen.lock().expect("no panic before").push(head);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    thread::scope(|scope| {
        scope.spawn(|| copy(&mut &server, &mut client));
        copy(&mut from_client, &mut &server)
    })?;
    Ok(())
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_with_its_password_for_calls_watches_and_the_lease() {
    let world = World::without_operator("proxy").await;
    let (address, heads) = proxy();
    let url = format!("http://user:pass%2Fword@{address}");
    let elected = ["--leader-elect", "--leader-election-namespace", &world.namespace];
    let operator = Process::start_with(&world, &elected, &[("HTTPS_PROXY", &url), ("NO_PROXY", "")]).await;
    operator.answers("/readyz").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let heads = heads.lock().expect("no panic before").clone();
    assert!(heads.len() >= 3, "calls, watches, the Lease: {heads:?}");
    for head in heads {
        assert!(head.starts_with("CONNECT 127.0.0.1:"), "{head}");
        // user:pass/word
        assert!(
            head.to_lowercase().contains("proxy-authorization: basic "),
            "{head}"
        );
        assert!(head.contains("dXNlcjpwYXNzL3dvcmQ="), "{head}");
    }
    assert!(!operator.log().contains("pass"), "{}", operator.log());
}

#[tokio::test]
async fn hosts_in_no_proxy_are_reached_directly() {
    let world = World::without_operator("noproxy").await;
    // Nothing listens on this address.
    let environment = [
        ("HTTPS_PROXY", "http://proxy.invalid:1"),
        ("NO_PROXY", "127.0.0.1,.invalid"),
    ];
    let operator = Process::start_with(&world, &[], &environment).await;
    operator.answers("/readyz").await;
}

#[tokio::test]
async fn an_unsupported_kind_of_proxy_is_refused_at_the_start() {
    let world = World::without_operator("otherproxy").await;
    let mut operator = Process::start_with(&world, &[], &[("HTTPS_PROXY", "socks4://127.0.0.1:1")]).await;
    assert!(!operator.ended().await.success());
    assert!(operator.log().contains("socks4"), "{}", operator.log());
}

/// A SOCKS5 proxy with the password `pass/word`. Returns its address, and the number of its connections.
async fn socks_proxy() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let tunnels = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tunnels);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(socks_tunnel(client, Arc::clone(&count)));
        }
    });
    (address, tunnels)
}

/// RFC 1928 and 1929, for an IPv4 address.
async fn socks_tunnel(mut client: tokio::net::TcpStream, tunnels: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut greeting = [0; 3];
    client.read_exact(&mut greeting).await?;
    assert_eq!(greeting, [5, 1, 2], "it offers a user and a password");
    client.write_all(&[5, 2]).await?;
    let mut login = [0; 16];
    client.read_exact(&mut login).await?;
    assert_eq!(&login, b"\x01\x04user\x09pass/word");
    client.write_all(&[1, 0]).await?;
    let mut target = [0; 10];
    client.read_exact(&mut target).await?;
    let [5, 1, 0, 1, a, b, c, d, high, low] = target else {
        panic!("an IPv4 address: {target:?}")
    };
    let port = u16::from_be_bytes([high, low]);
    let mut server = tokio::net::TcpStream::connect(SocketAddr::from(([a, b, c, d], port))).await?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await?;
    tunnels.fetch_add(1, Ordering::SeqCst);
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

#[tokio::test]
async fn a_socks_proxy_is_used_for_calls_watches_and_the_lease() {
    let world = World::without_operator("socksproxy").await;
    let (address, tunnels) = socks_proxy().await;
    let url = format!("socks5://user:pass%2Fword@{address}");
    let elected = ["--leader-elect", "--leader-election-namespace", &world.namespace];
    let operator = Process::start_with(&world, &elected, &[("HTTPS_PROXY", &url), ("NO_PROXY", "")]).await;
    operator.answers("/readyz").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    assert!(tunnels.load(Ordering::SeqCst) >= 3, "calls, watches, the Lease");
    assert!(!operator.log().contains("pass"), "{}", operator.log());
}

/// A proxy that is reached over TLS. Returns its address, its certificate and what was said to it.
async fn tls_proxy() -> (SocketAddr, Vec<u8>, Heads) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().to_vec();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone().into()], key)
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let heads = Heads::default();
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move { tls_tunnel(acceptor.accept(client).await?, &seen).await });
        }
    });
    (address, certificate, heads)
}

async fn tls_tunnel(
    mut client: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    seen: &Heads,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut server = tokio::net::TcpStream::connect(head.split(' ').nth(1).unwrap_or_default()).await?;
    seen.lock().expect("no panic before").push(head);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

#[tokio::test]
async fn a_proxy_over_tls_is_trusted_by_the_certificate_authorities_of_the_kubeconfig() {
    let mut world = World::without_operator("tlsproxy").await;
    let (address, certificate, heads) = tls_proxy().await;
    let mut config = account::config(world.control_plane()).await;
    config.proxy_url = Some(format!("https://user:pass@{address}").parse().expect("a URL"));
    let untrusted = client::for_a_command(config.clone()).expect("a client");
    assert!(
        untrusted.apiserver_version().await.is_err(),
        "its certificate is unknown"
    );
    config
        .root_cert
        .as_mut()
        .expect("the kubeconfig has one")
        .push(certificate);
    world.start_operator_as(config).await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let heads = heads.lock().expect("no panic before").clone();
    assert!(heads.len() >= 2, "calls and watches: {heads:?}");
    // user:pass
    assert!(
        heads.iter().all(|head| head.contains("dXNlcjpwYXNz")),
        "{heads:?}"
    );
}
