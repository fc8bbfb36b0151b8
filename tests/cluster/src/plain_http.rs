//! A request without TLS, for the endpoints of the operator on loopback.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One GET request. The answer is all of it: status line, headers and body. `longest` is the time limit of each read.
///
/// # Errors
/// When the address cannot be reached, or does not answer in time.
pub fn get(address: SocketAddr, path: &str, longest: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(longest))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
