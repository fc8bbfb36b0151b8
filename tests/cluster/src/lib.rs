//! A Kubernetes control plane on loopback, for tests and for `make run`.
//!
//! [`ControlPlane::start`] runs etcd, the API server and, if asked, the controller manager, the scheduler
//! and kwok, which simulates the kubelets: pods become Ready without containers. The executables are found on
//! the machine or built once from pinned Go modules ([`binaries`]).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use local_control_plane::{Component, ControlPlane, Options};
//!
//! let control_plane = ControlPlane::start(Options::full()).await?;
//! let client = control_plane.client()?;
//! control_plane.restart(Component::ApiServer).await?; // same port, same data
//! # drop(client);
//! # Ok(())
//! # }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`binaries`] | finds or builds the executables |
//! | `component`, `release`, `arguments` | the five processes, their versions and their command lines |
//! | `pki`, `kubeconfig`, `instance` | the files of one control plane |
//! | `leash`, `serving` | a process that cannot outlive its parent, and the wait until it serves |
//! | [`percona`] | the Percona simulator |
//! | [`runner`] | pods that run as real processes, for example a real DittoFS server |
//! | [`nfs`], [`smb`] | clients of NFS and SMB: put a file and read it back |
//! | [`postgres`] | a PostgreSQL, if the machine has the programs |
//! | [`s3`] | an S3 server |
//! | [`apply`], [`definition`] | manifests, and kinds that are served |
//! | [`plain_http`] | a request without TLS |
//! | [`rights`] | what RBAC grants and what the audit log shows in use |
//! | `etcd` | gives etcd its space back |
//! | `control_plane`, `probe`, `bootstrap` | start, readiness, faults, end |

pub mod apply;
mod arguments;
pub mod binaries;
mod bootstrap;
mod component;
mod control_plane;
pub mod definition;
pub mod demo;
mod error;
mod etcd;
mod files;
mod instance;
mod kubeconfig;
mod leash;
pub mod nfs;
mod options;
pub mod percona;
mod pki;
pub mod plain_http;
mod ports;
pub mod postgres;
mod probe;
mod release;
pub mod rights;
pub mod runner;
pub mod s3;
mod serving;
pub mod smb;
mod soon;
mod text;

pub use component::Component;
pub use control_plane::ControlPlane;
pub use error::Error;
pub use options::{Options, Size};
pub use pki::Error as PkiError;
