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
            "NFS at files-adapter-nfs.storage.svc:2049",
        ),
        (
            vec![endpoint("nfs", "fd00::1", 2049, None)],
            vec![],
            "NFS at [fd00::1]:2049",
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
fn an_ipv6_address_has_the_form_that_each_client_understands() {
    let endpoints = vec![
        endpoint("nfs", "fd00::1", 2049, None),
        endpoint("smb", "fd00::2", 445, None),
    ];
    insta::assert_snapshot!(output(endpoints, &["--share", "media"]).unwrap());
}

#[test]
fn a_node_port_of_smb_says_which_versions_of_windows_can_use_it() {
    insta::assert_snapshot!(output(internal(), &["--from", "outside"]).unwrap());
}

#[test]
fn names_with_special_characters_are_quoted() {
    insta::assert_snapshot!(
        output(internal(), &["--share", "Bob's files", "--user", "EXAMPLE\\bob"]).unwrap()
    );
}

#[test]
fn manifests_for_a_share_with_any_name_have_a_valid_name() {
    for format in ["pv", "storageclass"] {
        let text = output(internal(), &["--share", "My_Files", "-o", format]).unwrap();
        let documents: Vec<serde_json::Value> = serde_yaml::from_multiple(&text).unwrap();
        for document in documents {
            let name = document["metadata"]["name"].as_str().unwrap();
            let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.contains("my-files") && name.chars().all(is_valid), "{name}");
        }
        assert!(text.contains("/My_Files"), "the share itself: {text}");
    }
}

#[test]
fn a_volume_has_an_ipv6_address_without_brackets() {
    let mut endpoints = internal();
    endpoints[0].cluster_ip = Some("fd00::7".into());
    let text = output(endpoints, &["-o", "pv"]).unwrap();
    let volume: serde_json::Value = serde_yaml::from_str(text.split("---").next().unwrap()).unwrap();
    assert_eq!(volume["spec"]["nfs"]["server"], "fd00::7");
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
