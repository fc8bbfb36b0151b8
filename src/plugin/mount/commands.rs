//! Commands for Linux, macOS and Windows.

use std::fmt::Write as _;

use super::address::{self, Address};
use super::{no_endpoint, share};
use crate::api::Endpoint;
use crate::api::names::{NFS, SMB};
use crate::plugin::Error;
use crate::plugin::args::MountArgs;
use crate::server::url::encoded;

/// Port that Windows uses without an option.
const SMB_PORT: i32 = 445;
/// How to find the address behind [`address::NODE`].
const ABOUT_NODES: &str = "NODE is the address of any node: kubectl get nodes -o wide\n";
/// Microsoft added the option with the alternative ports of SMB.
const ABOUT_TCPPORT: &str = "/tcpport needs Windows 11 24H2 or Windows Server 2025, or later. Earlier versions of Windows use port 445 only: use a load balancer for them\n";

/// The commands for each protocol that the server serves.
pub(super) fn all(endpoints: &[Endpoint], namespace: &str, args: &MountArgs) -> Result<String, Error> {
    let mut text = String::new();
    let (mut has_node, mut has_other_smb_port) = (false, false);
    for endpoint in endpoints {
        let title = match endpoint.protocol.as_str() {
            NFS => "NFS",
            SMB => "SMB",
            _ => continue,
        };
        let Some(address) = address::of(endpoint, namespace, args.from) else {
            let _ = writeln!(
                text,
                "{title}: not reachable from there. Service {} has neither a load balancer's address nor a node port",
                endpoint.service
            );
            continue;
        };
        has_node |= address.host == address::NODE;
        has_other_smb_port |= title == "SMB" && address.port != SMB_PORT;
        one(title, endpoint, &address, args, &mut text);
    }
    if text.is_empty() {
        return Err(no_endpoint(args, "NFS or SMB"));
    }
    if has_node {
        text.push_str(ABOUT_NODES);
    }
    if has_other_smb_port {
        text.push_str(ABOUT_TCPPORT);
    }
    Ok(text)
}

fn one(title: &str, endpoint: &Endpoint, address: &Address, args: &MountArgs, text: &mut String) {
    let (host, port, state) = (address.bracketed(), address.port, state(endpoint));
    let _ = writeln!(text, "{title} at {host}:{port}{state}");
    let commands = if title == "NFS" {
        nfs(address, share(args))
    } else {
        smb(address, share(args), &args.user)
    };
    for (client, command) in commands {
        let _ = writeln!(text, "  {client:<15} {command}");
    }
}

fn state(endpoint: &Endpoint) -> String {
    match &endpoint.message {
        Some(message) if !endpoint.ready => format!("  (not ready: {message})"),
        _ => String::new(),
    }
}

fn nfs(address: &Address, share: &str) -> [(&'static str, String); 3] {
    let port = address.port;
    // On Linux `tcp` means TCP over IPv4.
    let protocol = if address.is_ipv6() { "proto=tcp6" } else { "tcp" };
    let source = quoted(&format!("{}:/{share}", address.bracketed()));
    [
        (
            "Linux, NFS 4.1",
            format!("sudo mount -t nfs -o vers=4.1,port={port} {source} /mnt"),
        ),
        (
            "Linux, NFS 3",
            format!(
                "sudo mount -t nfs -o vers=3,{protocol},port={port},mountport={port},nolock {source} /mnt"
            ),
        ),
        (
            "macOS",
            format!(
                "sudo mount -t nfs -o vers=3,tcp,resvport,nolocks,port={port},mountport={port} {source} /private/mnt"
            ),
        ),
    ]
}

fn smb(address: &Address, share: &str, user: &str) -> [(&'static str, String); 3] {
    let Address { host, port } = address;
    let options = quoted(&format!("username={user},port={port},vers=3.1.1"));
    // `mount.cifs` resolves what stands between the slashes, so an IPv6 address has no brackets.
    let source = quoted(&format!("//{host}/{share}"));
    let url = format!(
        "smb://{}@{}:{port}/{}",
        encoded(user),
        address.bracketed(),
        encoded(share)
    );
    let path = quoted_for_windows(&format!(r"\\{}\{share}", address.for_windows()));
    let user = quoted_for_windows(&format!("/user:{user}"));
    let other_port = if *port == SMB_PORT {
        String::new()
    } else {
        format!(" /tcpport:{port}")
    };
    [
        ("Linux", format!("sudo mount -t cifs -o {options} {source} /mnt")),
        ("macOS", format!("open {}", quoted(&url))),
        ("Windows", format!("net use Z: {path} * {user}{other_port}")),
    ]
}

/// A word of a command of sh, bash or zsh, where brackets are a pattern.
fn quoted(word: &str) -> String {
    if word
        .chars()
        .all(|c| c.is_alphanumeric() || "-_./:@%=,".contains(c))
    {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A word of a command of cmd or PowerShell. Neither a share nor a user of Windows can contain a double quote.
fn quoted_for_windows(word: &str) -> String {
    if word
        .chars()
        .all(|c| c.is_alphanumeric() || r"-_.\/:@".contains(c))
    {
        word.to_owned()
    } else {
        format!("\"{word}\"")
    }
}
