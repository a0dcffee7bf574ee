//! What an upstream sends.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::service_fn;

use crate::{
    api::fields::client_fields,
    server::{Limits, RequestBody, serve_one},
    upstream::{Outgoing, route::client, takes_codings_off},
};

/// The bytes of an upstream's connection: the client gets a response that is whole, or whose end is missing; never nothing.
pub fn response(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let sent = data.to_vec();
    let received = runtime.block_on(async {
        let (mut client, near) = tokio::io::duplex(1 << 20);
        let service = service_fn(move |_: Request<RequestBody>| {
            let sent = sent.clone();
            async move {
                Ok::<_, Infallible>(exchange(&sent).await.unwrap_or_else(|status| {
                    let mut refused = Response::new(Outgoing::default());
                    *refused.status_mut() = status;
                    refused
                }))
            }
        });
        let served = tokio::spawn(serve_one(near, service, Limits::default()));
        client
            .write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut received = Vec::new();
        let read = client.read_to_end(&mut received);
        tokio::time::timeout(Duration::from_secs(10), read)
            .await
            .expect("it ends")
            .unwrap();
        drop(client);
        served.await.unwrap().unwrap();
        received
    });
    assert!(
        received.starts_with(b"HTTP/1.1 "),
        "{:?}",
        received.escape_ascii().to_string()
    );
}

/// The upstream's response as the client gets it, or the status of the gateway's own.
async fn exchange(sent: &[u8]) -> Result<Response<Outgoing>, StatusCode> {
    let (mut upstream, near) = tokio::io::duplex(1 << 20);
    upstream.write_all(sent).await.unwrap();
    upstream.shutdown().await.unwrap();
    let (mut sender, connection) = client().handshake(TokioIo::new(near)).await.unwrap();
    tokio::spawn(async move {
        // Kept open in the direction to the upstream.
        let _upstream = upstream;
        connection.await
    });
    let refused = |_: hyper::Error| StatusCode::BAD_GATEWAY;
    let response = sender
        .send_request(Request::new(Empty::<Bytes>::new()))
        .await
        .map_err(refused)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || !takes_codings_off(response.headers()) {
        return Err(StatusCode::BAD_GATEWAY);
    }
    let (mut head, mut body) = response.into_parts();
    let first = body.frame().now_or_never().flatten().transpose().map_err(refused)?;
    let body = match first.map(Frame::into_data) {
        None => Outgoing::arriving(Bytes::new(), body.map_err(Into::into), Duration::ZERO),
        Some(Ok(first)) => Outgoing::arriving(first, body.map_err(Into::into), Duration::ZERO),
        Some(Err(trailers)) => Outgoing::whole(Bytes::new(), trailers.into_trailers().ok().map(Box::new)),
    };
    head.headers = client_fields(head.headers, true, None);
    head.version = http::Version::HTTP_11;
    Ok(Response::from_parts(head, body))
}
