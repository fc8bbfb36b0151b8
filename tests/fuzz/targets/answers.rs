//! The answers of a server's API: any bytes on the connection, any status, any JSON, also one that quotes what it was sent.
//!
//! The operator's own client makes the calls, over a connection on loopback.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use dittofs_operator::api::DittoServer;
use dittofs_operator::domain::adapters::{Calls, Failure, ServerReport, exposed, learn};
use dittofs_operator::domain::desired::desired;
use dittofs_operator::domain::observed::{Observed, Read};
use dittofs_operator::domain::server_api::{Target, target};
use dittofs_operator::domain::settings::Settings;
use dittofs_operator::domain::validate::validate;
use dittofs_operator::server::adapters;
use dittofs_operator::server::client::Client;
use dittofs_operator::server::settings;
use dittofs_operator::server::token::{Role, sign};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::checks;
use super::input::Input;
use super::mutate::mutate;
use super::world::{self, CANARY};

/// Longest text about one answer, in bytes.
const LONGEST: usize = 2000;
/// Most objects that one server can make the operator create.
const MOST_ADAPTERS: usize = 16;
/// A call that takes so long hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a server does with one call.
enum Script {
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Sends what it was sent, with this status.
    Echo(u16),
}

type Scripts = Arc<Mutex<VecDeque<Script>>>;

struct Double {
    runtime: Runtime,
    url: String,
    scripts: Scripts,
}

thread_local! {
    static DOUBLE: RefCell<Double> = RefCell::new(Double::start());
}

impl Double {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let scripts = Scripts::default();
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::clone(&scripts);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&shared)));
            }
        });
        Self {
            runtime,
            url,
            scripts,
        }
    }
}

/// Reads one request, answers it, and ends the connection.
async fn answer(mut stream: TcpStream, scripts: Scripts) {
    let mut request = Vec::new();
    let mut buffer = [0; 8192];
    while !is_whole(&request) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let script = scripts.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let bytes = match script {
        Some(Script::Bytes(bytes)) => bytes,
        Some(Script::Echo(status)) => {
            let text = String::from_utf8_lossy(&request).into_owned();
            let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let problem = json!({"title": "refused", "detail": text, "errors": {"body": body}});
            http(status, problem.to_string().as_bytes())
        }
        None => http(200, b"null"),
    };
    let _ = stream.write_all(&bytes).await;
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")
            .map(str::to_owned)
    });
    let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    request.len() >= head.len() + 4 + length
}

fn http(status: u16, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Right answers of each call.
fn right() -> [Value; 5] {
    let adapter = |kind: &str, port: u16| json!({"type": kind, "enabled": true, "running": true, "port": port, "status": {"status": "healthy", "message": "m"}, "config": {}});
    [
        json!([adapter("nfs", 12049), adapter("smb", 1445)]),
        adapter("nfs", 12049),
        json!([{"share": "/archive", "interval": "24h0m0s", "keep_last": 1, "enabled": true}]),
        json!({"enabled": true, "url": "ldaps://dc", "base_dn": "dc=x", "config": {}}),
        json!({"portmapper_enabled": false, "udp_enabled": true}),
    ]
}

fn script(input: &mut Input<'_>) -> Script {
    let statuses = [200, 201, 204, 301, 400, 401, 404, 409, 422, 500, 503, 100, 999];
    let status = if input.one_in(2) {
        200
    } else {
        *input.pick(&statuses)
    };
    let mut body = input.pick(&right()).clone();
    for _ in 0..input.below(4) {
        mutate(&mut body, input);
    }
    Script::Bytes(match input.below(10) {
        0 => input.bytes().to_vec(),
        1 => http(status, input.bytes()),
        2 => {
            let mut bytes = http(status, body.to_string().as_bytes());
            bytes.truncate(input.below(bytes.len()));
            bytes
        }
        3 => {
            let mut bytes = http(status, body.to_string().as_bytes());
            let at = input.below(bytes.len());
            bytes[at] = input.byte();
            bytes
        }
        4 => {
            let (name, text) = (input.text(), input.text());
            let rows = (0..input.below(300)).map(|row| json!({"type": format!("{name}{row}"), "enabled": true, "port": row, "status": {"status": text}}));
            http(200, rows.collect::<Value>().to_string().as_bytes())
        }
        5 => http(status, "[".repeat(input.below(40_000)).as_bytes()),
        6 => return Script::Echo(status),
        _ => http(status, body.to_string().as_bytes()),
    })
}

/// A server of which everything that the operator sets through the API is declared, and which runs.
static RUNNING: LazyLock<Observed> = LazyLock::new(|| {
    let server: DittoServer = serde_json::from_value(json!({
        "metadata": {
            "name": "files", "namespace": "storage", "uid": "u1", "generation": 1,
            "annotations": {"dittofs.dittofs.com/restart-nfs": "1", "dittofs.dittofs.com/restart-smb": "1"},
        },
        "spec": {
            "storage": {"metadataSize": "1Gi"},
            "snapshotPolicies": [{"share": "/archive", "interval": "@daily"}, {"share": "/b", "interval": "6h"}],
            "adapterServices": {"nfsV3Discovery": true},
            "identity": {
                "ldap": {"enabled": true, "url": "ldaps://dc", "baseDN": "dc=x", "bindDN": "cn=x", "bindPasswordSecretRef": {"name": "ldap", "key": "password"}},
                "kerberos": {
                    "enabled": true, "realm": "X", "keytabSecretRef": {"name": "keytab", "key": "k"},
                    "machineAccount": {"enabled": true, "accountName": "X", "secretRef": {"name": "machine", "key": "k"}},
                },
            },
        },
    }))
    .expect("a server");
    world::running(server)
});

fn in_one_text(server: &Target, results: &impl std::fmt::Debug) -> String {
    let text = format!("{results:?}");
    assert!(!text.contains(CANARY), "a value of a Secret is shown: {text}");
    let token = sign(&server.key, Role::Operator, Timestamp::now());
    let header = token.split('.').next().unwrap_or_default();
    assert!(!text.contains(&format!("{header}.")), "a token is shown: {text}");
    text
}

fn check_report(report: ServerReport) {
    let mut observed = RUNNING.clone();
    observed.report = Arc::new(report);
    assert!(
        exposed(&observed).exposed.len() <= MOST_ADAPTERS + 2,
        "{:?}",
        exposed(&observed).exposed.len()
    );
    let verdict = validate(&observed);
    let desired = desired(verdict.valid.as_ref().expect("valid"), &Settings::default()).expect("children");
    let children: Vec<Value> = desired
        .into_manifests()
        .iter()
        .map(|child| json!(child))
        .collect();
    checks::children(&children);
}

async fn calls(double: &str, input: &mut Input<'_>, scripts: &Scripts) {
    let settings = Settings {
        server_url_template: Some(double.to_owned()),
        ..Settings::default()
    };
    let verdict = validate(&RUNNING);
    let Read::Found(target) = target(&verdict, &RUNNING, &settings) else {
        panic!("the server runs")
    };
    let client = Client::new(None).expect("a client");
    let (mut report, mut record, mut now) = (
        ServerReport::default(),
        Calls::new(Duration::from_secs(1)),
        Timestamp::UNIX_EPOCH,
    );
    for _ in 0..=input.below(3) {
        let expected = (0..12).map(|_| script(input));
        *scripts.lock().unwrap_or_else(PoisonError::into_inner) = expected.collect();
        let token = sign(&target.key, Role::Operator, Timestamp::now());
        let listed = adapters::list(&client, &target.url, &token)
            .await
            .map_err(|error| error.failure());
        if let Err(Failure { message, .. }) = &listed {
            assert!(
                !message.is_empty() && message.len() <= LONGEST,
                "{} bytes: {message}",
                message.len()
            );
        }
        in_one_text(&target, &listed);
        now += Duration::from_secs(5);
        match &listed {
            Ok(_) => record.succeeded(now),
            Err(_) => record.failed(now),
        }
        report = learn(&report, listed, &record, now);
        let outcome = settings::apply(&client, &target, &target.declared).await;
        let text = in_one_text(&target, &outcome);
        assert!(text.len() <= 12 * LONGEST, "{} bytes: {text}", text.len());
        report.settings = Some(outcome);
        assert!(
            format!("{report:?}").len() <= 40 * LONGEST,
            "what is kept of a server has a limit"
        );
        check_report(report.clone());
    }
}

/// The target.
pub fn answers(data: &[u8]) {
    let mut input = Input::new(data);
    DOUBLE.with_borrow(|double| {
        let calls = calls(&double.url, &mut input, &double.scripts);
        let ended = double
            .runtime
            .block_on(async { tokio::time::timeout(DEADLINE, calls).await });
        assert!(ended.is_ok(), "a call hangs");
    });
}
