//! Watches that go wrong after some events.

use http_body_util::combinators::UnsyncBoxBody;
use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::Frame;
use kube::client::Body;
use serde_json::json;

use super::fault::{Given, WatchFault};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type ProxyBody = UnsyncBoxBody<Bytes, BoxError>;
type Line = Result<Bytes, BoxError>;

/// The body of a watch that goes wrong after this number of events.
pub fn distorted(body: Body, fault: WatchFault, after: usize) -> ProxyBody {
    let lines = lines(body);
    let passed = |lines| StreamExt::take(lines, after);
    let distorted = match fault {
        WatchFault::Cut => {
            let cut = stream::once(async { Err(BoxError::from("the watch is cut")) });
            passed(lines).chain(cut).boxed()
        }
        WatchFault::HalfLine => lines
            .take(after + 1)
            .enumerate()
            .map(move |(number, line)| {
                if number < after {
                    line
                } else {
                    line.as_ref().map(half).map_err(|_| "half".into())
                }
            })
            .boxed(),
        WatchFault::BlackHole => passed(lines).chain(stream::pending()).boxed(),
        WatchFault::Expired => passed(lines).chain(stream::once(async { Ok(expired()) })).boxed(),
        WatchFault::Late(by) => lines
            .then(move |line| async move {
                tokio::time::sleep(by).await;
                line
            })
            .boxed(),
    };
    of_lines(distorted)
}

fn of_lines(lines: impl Stream<Item = Line> + Send + 'static) -> ProxyBody {
    StreamBody::new(lines.map(|line| line.map(Frame::data))).boxed_unsync()
}

/// The body of a watch that delivers nothing for a time.
pub fn withheld(body: Body, time: Duration, given: Given) -> ProxyBody {
    let waited = stream::once(tokio::time::sleep(time)).filter_map(async |()| None);
    match given {
        Given::Later => of_lines(waited.chain(lines(body))),
        Given::NextWatch => of_lines(waited),
        Given::List => of_lines(waited.chain(stream::once(async { Ok(expired()) }))),
    }
}

fn half(line: &Bytes) -> Bytes {
    line.slice(..line.len() / 2)
}

fn expired() -> Bytes {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 410, "reason": "Expired",
        "message": "too old resource version", "metadata": {},
    });
    Bytes::from(format!("{}\n", json!({"type": "ERROR", "object": status})))
}

/// The body in whole lines. Each is one event.
fn lines(body: Body) -> stream::BoxStream<'static, Line> {
    let reader = Reader {
        body: BodyStream::new(body),
        rest: Vec::new(),
        lines: VecDeque::new(),
    };
    stream::unfold(reader, |mut reader| async move {
        let line = reader.next().await?;
        Some((line, reader))
    })
    .boxed()
}

struct Reader {
    body: BodyStream<Body>,
    rest: Vec<u8>,
    lines: VecDeque<Bytes>,
}

impl Reader {
    async fn next(&mut self) -> Option<Line> {
        while self.lines.is_empty() {
            match self.body.next().await? {
                Ok(frame) => self.read(&frame.into_data().unwrap_or_default()),
                Err(error) => return Some(Err(error.into())),
            }
        }
        self.lines.pop_front().map(Ok)
    }

    fn read(&mut self, data: &[u8]) {
        self.rest.extend_from_slice(data);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.lines.push_back(Bytes::from(line));
        }
    }
}
