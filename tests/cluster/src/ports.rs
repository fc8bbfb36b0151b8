//! Free ports.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use crate::arguments::Ports;

/// Asks the operating system for free ports. Another process may take one before a component binds it;
/// the caller notices (`address already in use`) and asks again.
pub(crate) fn choose() -> io::Result<Ports> {
    // All ports stay bound until all are chosen, so that none is chosen twice.
    let listeners = (0..6)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<io::Result<Vec<_>>>()?;
    let mut ports = listeners
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()));
    let mut next = || {
        ports
            .next()
            .unwrap_or_else(|| Err(io::ErrorKind::AddrNotAvailable.into()))
    };
    Ok(Ports {
        etcd: next()?,
        etcd_peer: next()?,
        api_server: next()?,
        controller_manager: next()?,
        scheduler: next()?,
        kwok: next()?,
    })
}

/// A port that no process of this machine uses now, on any address.
pub(crate) fn free() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    listener.local_addr().map(|address| address.port())
}
