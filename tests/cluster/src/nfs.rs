//! A small client of NFS version 3, for tests and for `make run`. It needs neither root nor a package of the machine.
//!
//! On a cluster, users mount a share: `kubectl dittofs mount` prints the command.

use std::net::Ipv4Addr;

use nfs3_client::nfs3_types::nfs3::{
    self, Nfs3Option, Nfs3Result, createhow3, diropargs3, filename3, nfs_fh3, sattr3, stable_how,
};
use nfs3_client::nfs3_types::rpc::{auth_unix, opaque_auth};
use nfs3_client::nfs3_types::xdr_codec::Opaque;
use nfs3_client::tokio::{TokioConnector, TokioIo};
use nfs3_client::{ConnectError, Nfs3Connection, Nfs3ConnectionBuilder, RpcError};
use tokio::net::TcpStream;

/// Bytes of one call.
const BLOCK: u32 = 64 << 10;

/// Why a file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The share cannot be mounted.
    #[error("the share cannot be mounted: {0}")]
    Mount(#[from] ConnectError),
    /// No answer.
    #[error("the server does not answer: {0}")]
    Rpc(#[from] RpcError),
    /// The server refused the call.
    #[error("the server refuses to {call}: {status}")]
    Refused {
        /// What it was asked for.
        call: &'static str,
        /// The status of NFS.
        status: String,
    },
}

/// A mounted share.
pub struct Mount(Nfs3Connection<TokioIo<TcpStream>>);

impl Mount {
    /// Mounts a share as the user with this UID, and GID of the same number.
    ///
    /// # Errors
    /// When the server is not reachable or refuses it.
    pub async fn of(address: Ipv4Addr, port: u16, share: &str, uid: u32) -> Result<Self, Error> {
        let credential = auth_unix {
            stamp: 0,
            machinename: Opaque::borrowed(b"local-control-plane"),
            uid,
            gid: uid,
            gids: Vec::new(),
        };
        let mount = Nfs3ConnectionBuilder::new(TokioConnector, address.to_string(), share)
            .connect_from_privileged_port(false)
            .mount_port(port)
            .nfs3_port(port)
            .credential(opaque_auth::auth_unix(&credential))
            .mount();
        Ok(Self(mount.await?))
    }

    /// Writes a file in the root of the share, or replaces it.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn write(&mut self, name: &str, content: &[u8]) -> Result<(), Error> {
        let empty = sattr3 {
            size: Nfs3Option::Some(0),
            ..sattr3::default()
        };
        let file = nfs3::CREATE3args {
            where_: self.entry(name),
            how: createhow3::UNCHECKED(empty),
        };
        let Nfs3Option::Some(file) = accepted("create the file", self.0.create(&file).await?)?.obj else {
            return Err(refused("create the file", &"no handle"));
        };
        let mut offset = 0;
        while let Some(rest) = rest(content, offset) {
            let count = u32::try_from(rest.len()).unwrap_or(BLOCK).min(BLOCK);
            let block = &rest[..usize::try_from(count).unwrap_or_default()];
            let write = nfs3::WRITE3args {
                file: file.clone(),
                offset,
                count,
                stable: stable_how::FILE_SYNC,
                data: Opaque::borrowed(block),
            };
            let written = accepted("write", self.0.write(&write).await?)?.count;
            if written == 0 {
                return Err(refused("write", &"no byte was written"));
            }
            offset += u64::from(written);
        }
        Ok(())
    }

    /// Reads a file in the root of the share.
    ///
    /// # Errors
    /// When there is no such file, or the server refuses it.
    pub async fn read(&mut self, name: &str) -> Result<Vec<u8>, Error> {
        let what = self.entry(name);
        let found = self.0.lookup(&nfs3::LOOKUP3args { what }).await?;
        let file = accepted("look the file up", found)?.object;
        let mut content = Vec::new();
        loop {
            let read = nfs3::READ3args {
                file: file.clone(),
                offset: u64::try_from(content.len()).unwrap_or(u64::MAX),
                count: BLOCK,
            };
            let block = accepted("read", self.0.read(&read).await?)?;
            content.extend_from_slice(block.data.as_ref());
            if block.eof || block.count == 0 {
                return Ok(content);
            }
        }
    }

    fn entry<'a>(&self, name: &'a str) -> diropargs3<'a> {
        let dir: nfs_fh3 = self.0.root_nfs_fh3();
        let name = filename3(Opaque::borrowed(name.as_bytes()));
        diropargs3 { dir, name }
    }
}

/// What is still to be written.
fn rest(content: &[u8], offset: u64) -> Option<&[u8]> {
    let rest = content.get(usize::try_from(offset).ok()?..)?;
    (!rest.is_empty()).then_some(rest)
}

fn accepted<T, E: std::fmt::Debug>(call: &'static str, result: Nfs3Result<T, E>) -> Result<T, Error> {
    match result {
        Nfs3Result::Ok(value) => Ok(value),
        Nfs3Result::Err((status, _)) => Err(refused(call, &status)),
    }
}

fn refused(call: &'static str, status: &dyn std::fmt::Debug) -> Error {
    Error::Refused {
        call,
        status: format!("{status:?}"),
    }
}
