//! An API server behind a proxy.

use std::io::{BufRead, BufReader, Write, copy};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::process::Process;
use crate::support::{World, fixtures};

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
    let mut operator = Process::start_with(&world, &[], &[("HTTPS_PROXY", "socks5://127.0.0.1:1")]).await;
    assert!(!operator.ended().await.success());
    assert!(operator.log().contains("socks5"), "{}", operator.log());
}
