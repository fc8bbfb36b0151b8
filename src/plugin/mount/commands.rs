//! Commands for Linux, macOS and Windows.

use std::fmt::Write as _;

use super::address::{self, Address};
use super::{no_endpoint, share};
use crate::api::Endpoint;
use crate::api::names::{NFS, SMB};
use crate::plugin::Error;
use crate::plugin::args::MountArgs;

/// Port that Windows uses without an option.
const SMB_PORT: i32 = 445;

/// The commands for each protocol that the server serves.
pub(super) fn all(endpoints: &[Endpoint], args: &MountArgs) -> Result<String, Error> {
    let mut text = String::new();
    for endpoint in endpoints {
        let title = match endpoint.protocol.as_str() {
            NFS => "NFS",
            SMB => "SMB",
            _ => continue,
        };
        let Some(address) = address::of(endpoint, args.from) else {
            let _ = writeln!(
                text,
                "{title}: not reachable from there. Service {} has neither a load balancer's address nor a node port",
                endpoint.service
            );
            continue;
        };
        let _ = writeln!(
            text,
            "{title} at {}:{}{}",
            address.host,
            address.port,
            state(endpoint)
        );
        let commands = if title == "NFS" {
            nfs(&address, args)
        } else {
            smb(&address, args)
        };
        for (client, command) in commands {
            let _ = writeln!(text, "  {client:<15} {command}");
        }
    }
    if text.is_empty() {
        return Err(no_endpoint(args, "NFS or SMB"));
    }
    if text.contains("NODE:") {
        text.push_str("NODE is the address of any node: kubectl get nodes -o wide\n");
    }
    Ok(text)
}

fn state(endpoint: &Endpoint) -> String {
    match &endpoint.message {
        Some(message) if !endpoint.ready => format!("  (not ready: {message})"),
        _ => String::new(),
    }
}

fn nfs(address: &Address, args: &MountArgs) -> Vec<(&'static str, String)> {
    let Address { host, port } = address;
    let share = share(args);
    vec![
        (
            "Linux, NFS 4.1",
            format!("sudo mount -t nfs -o vers=4.1,port={port} {host}:/{share} /mnt"),
        ),
        (
            "Linux, NFS 3",
            format!(
                "sudo mount -t nfs -o vers=3,tcp,port={port},mountport={port},nolock {host}:/{share} /mnt"
            ),
        ),
        (
            "macOS",
            format!(
                "sudo mount -t nfs -o vers=3,tcp,resvport,nolocks,port={port},mountport={port} {host}:/{share} /private/mnt"
            ),
        ),
    ]
}

fn smb(address: &Address, args: &MountArgs) -> Vec<(&'static str, String)> {
    let Address { host, port } = address;
    let (share, user) = (share(args), &args.user);
    let other_port = if *port == SMB_PORT {
        String::new()
    } else {
        format!(" /tcpport:{port}")
    };
    vec![
        (
            "Linux",
            format!("sudo mount -t cifs -o username={user},port={port},vers=3.1.1 //{host}/{share} /mnt"),
        ),
        ("macOS", format!("open smb://{user}@{host}:{port}/{share}")),
        (
            "Windows",
            format!(r"net use Z: \\{host}\{share} /user:{user}{other_port} *"),
        ),
    ]
}
