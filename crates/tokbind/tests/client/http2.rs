//! The server's side of HTTP/2, by hyper.

use crate::server::{Seen, export, judge};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_openssl::SslStream;
use hyper_util::rt::{TokioExecutor, TokioIo};
use openssl::ssl::{Ssl, SslContext};
use std::convert::Infallible;
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Mutex;

/// Answers requests until the client closes. Their heads are written down as HTTP/1.1 would have them.
pub fn serve(context: &SslContext, tcp: TcpStream, seen: &Mutex<Vec<Seen>>) {
    tcp.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tcp = TokioIo::new(tokio::net::TcpStream::from_std(tcp).unwrap());
        let mut stream = SslStream::new(Ssl::new(context).unwrap(), tcp).unwrap();
        if Pin::new(&mut stream).accept().await.is_err() {
            return;
        }
        // HTTP/2 knows no renegotiation (RFC 9113 §9.2.1), so what is exported now holds for all requests.
        let ekm = export(stream.ssl());
        let service = service_fn(|request: Request<Incoming>| {
            let value = request.headers().get("sec-token-binding").map(|value| value.to_str().unwrap());
            let verdict = value.map(|value| judge(ekm, value));
            let head = format!("{} {} {:?}", request.method(), request.uri(), request.version());
            seen.lock().unwrap().push(Seen { head, verdict });
            async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello\n")))) }
        });
        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await;
    });
}
