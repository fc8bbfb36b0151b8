//! A small client of SMB version 2 and 3, for tests and for `make run`. It needs neither root nor a package of the machine.
//!
//! On a cluster, users mount a share: `kubectl dittofs mount` prints the command.

use std::net::Ipv4Addr;

use smb2::{ClientConfig, SmbClient, Tree};

/// Why a file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, a wrong password, or no such share.
    #[error("{user} cannot mount the share: {source}")]
    Mount {
        /// The user.
        user: String,
        /// What the server said.
        source: smb2::Error,
    },
    /// The server refused the call, or does not answer.
    #[error("the server does not {call} the file: {source}")]
    Refused {
        /// What it was asked for.
        call: &'static str,
        /// What it said.
        source: smb2::Error,
    },
}

/// A mounted share.
pub struct Mount {
    client: SmbClient,
    share: Tree,
}

impl Mount {
    /// Mounts a share as a user of the server, who logs in with NTLM.
    ///
    /// # Errors
    /// When the server is not reachable or refuses it.
    pub async fn of(
        address: Ipv4Addr,
        port: u16,
        share: &str,
        user: &str,
        password: &str,
    ) -> Result<Self, Error> {
        let config = ClientConfig {
            addr: format!("{address}:{port}"),
            username: user.to_owned(),
            password: password.to_owned(),
            ..ClientConfig::default()
        };
        let mounted = async {
            let mut client = SmbClient::connect(config).await?;
            let share = client.connect_share(share.trim_start_matches('/')).await?;
            Ok(Self { client, share })
        };
        mounted.await.map_err(|source| Error::Mount {
            user: user.to_owned(),
            source,
        })
    }

    /// Writes a file in the root of the share, or replaces it.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn write(&mut self, name: &str, content: &[u8]) -> Result<(), Error> {
        let written = self.client.write_file_pipelined(&self.share, name, content).await;
        let refused = |source| Error::Refused {
            call: "write",
            source,
        };
        written.map(|_| ()).map_err(refused)
    }

    /// Reads a file in the root of the share.
    ///
    /// # Errors
    /// When there is no such file, or the server refuses it.
    pub async fn read(&mut self, name: &str) -> Result<Vec<u8>, Error> {
        let read = self.client.read_file_pipelined(&mut self.share, name).await;
        read.map_err(|source| Error::Refused { call: "read", source })
    }
}
