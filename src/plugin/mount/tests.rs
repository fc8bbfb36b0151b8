use clap::Parser;

use super::*;
use crate::api::DittoServerStatus;
use crate::domain::testing;
use crate::plugin::args::{Plugin, PluginCommand};

fn endpoint(protocol: &str, host: &str, port: i32, node_port: Option<i32>) -> Endpoint {
    Endpoint {
        protocol: protocol.into(),
        host: host.into(),
        cluster_ip: Some("10.0.0.7".into()),
        port,
        node_port,
        service: format!("files-adapter-{protocol}"),
        ready: true,
        message: None,
    }
}

/// The output for a command line.
fn output(endpoints: Vec<Endpoint>, arguments: &[&str]) -> Result<String, Error> {
    let mut server = testing::server("");
    server.status = Some(DittoServerStatus {
        endpoints,
        ..DittoServerStatus::default()
    });
    let line = ["kubectl-dittofs", "mount", "files"].iter().chain(arguments);
    let PluginCommand::Mount(args) = Plugin::try_parse_from(line).expect("it parses").args.command else {
        panic!("another command");
    };
    text(&server, &args)
}

fn internal() -> Vec<Endpoint> {
    vec![
        endpoint("nfs", "files-adapter-nfs.storage.svc", 2049, Some(30049)),
        endpoint("smb", "files-adapter-smb.storage.svc", 445, Some(30445)),
    ]
}

#[test]
fn each_place_has_its_address() {
    let balanced = || vec![endpoint("nfs", "192.0.2.7", 2049, None)];
    for (endpoints, arguments, wanted) in [
        (internal(), vec![], "NFS at files-adapter-nfs.storage.svc:2049"),
        (internal(), vec!["--from", "node"], "NFS at 10.0.0.7:2049"),
        (internal(), vec!["--from", "outside"], "NFS at NODE:30049"),
        (balanced(), vec![], "NFS at 192.0.2.7:2049"),
        (
            balanced(),
            vec!["--from", "cluster"],
            "NFS at files-adapter-nfs:2049",
        ),
    ] {
        let text = output(endpoints, &arguments).unwrap();
        assert!(text.starts_with(wanted), "{text}");
    }
}

#[test]
fn the_commands_for_each_system() {
    insta::assert_snapshot!(output(internal(), &["--share", "/media", "--user", "alice"]).unwrap());
}

#[test]
fn a_persistent_volume_and_its_claim() {
    insta::assert_snapshot!(output(internal(), &["--share", "media", "-o", "pv", "--size", "5Gi"]).unwrap());
}

#[test]
fn a_storage_class() {
    insta::assert_snapshot!(output(internal(), &["-o", "storageclass"]).unwrap());
}

#[test]
fn a_server_without_endpoints_has_an_error_with_the_next_step() {
    for arguments in [&[][..], &["-o", "pv"]] {
        let error = output(vec![], arguments).unwrap_err().to_string();
        assert!(error.contains("kubectl dittofs status files"), "{error}");
    }
}
