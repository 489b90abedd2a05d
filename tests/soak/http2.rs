//! Clients with HTTP/2: all requests of a visit at once, as streams of one connection.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::common::exchange::Answer;
use crate::record::Record;
use crate::visit::{Ask, Cast, Dice, Visit};

/// As long as a client with HTTP/1.1 waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Until the record says that it is over, so many connections at a time.
pub fn clients(address: SocketAddr, cast: &Cast, record: &Record, connections: usize) {
    std::thread::scope(|scope| {
        for number in 0..connections {
            scope.spawn(move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                let mut dice = Dice::new(1000 + number);
                while !record.is_over() {
                    let visit = cast.visit(&mut dice, true, false);
                    let _waits = record.exchange();
                    runtime.block_on(perform(address, cast, record, &visit));
                }
            });
        }
    });
}

async fn perform(address: SocketAddr, cast: &Cast, record: &Record, visit: &Visit) {
    let begin = record.begin();
    let opened = timeout(PATIENCE, open(address, visit)).await;
    let (sender, message) = match opened.unwrap_or_else(|late| Err(late.to_string())) {
        Ok(connected) => connected,
        Err(error) => return record.lost(begin, format_args!("no connection for HTTP/2: {error}")),
    };
    let mut streams = JoinSet::new();
    for (number, ask) in visit.asks.iter().enumerate() {
        let exchange = timeout(PATIENCE, exchange(sender.clone(), request(cast, ask, message.as_deref())));
        streams.spawn(async move { (number, exchange.await.unwrap_or_else(|late| Err(late.to_string()))) });
    }
    while let Some(ended) = streams.join_next().await {
        let (number, answer) = ended.expect("no panic");
        let ask = &visit.asks[number];
        match answer {
            Ok(answer) => record.judge(ask, &answer),
            Err(error) => record.lost(begin, format_args!("no answer to {} by HTTP/2: {error}", ask.path)),
        }
    }
}

type Sender = SendRequest<Empty<Bytes>>;

async fn open(address: SocketAddr, visit: &Visit) -> Result<(Sender, Option<String>), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let tcp = TcpStream::connect(address).await.map_err(|error| text(&error))?;
    let stream = visit.connector.connect_transport(TokioIo::new(tcp), "localhost").await;
    let stream = stream.map_err(|error| text(&error))?;
    let message = visit.message(&stream.ekm().map_err(|error| text(&error))?);
    let (sender, connection) = handshake(TokioExecutor::new(), stream).await.map_err(|error| text(&error))?;
    // A failure of the connection shows in the requests that it fails.
    tokio::spawn(async { drop(connection.await) });
    Ok((sender, message))
}

fn request(cast: &Cast, ask: &Ask, message: Option<&str>) -> Request<Empty<Bytes>> {
    let mut request = Request::get(format!("https://localhost{}", ask.path));
    for (name, value) in ask.fields(cast, message) {
        request = request.header(name, value);
    }
    request.body(Empty::new()).expect("a request")
}

async fn exchange(mut sender: Sender, request: Request<Empty<Bytes>>) -> Result<Answer, String> {
    let text = |error: hyper::Error| format!("{error:?}");
    sender.ready().await.map_err(text)?;
    let (head, body) = Response::into_parts(sender.send_request(request).await.map_err(text)?);
    let body = body.collect().await.map_err(text)?.to_bytes();
    let field = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), field(value.as_bytes())))
            .collect(),
        body: field(&body),
    })
}
