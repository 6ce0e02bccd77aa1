//! What one exchange promises where only the two ends of a wire can show it.

use tokio::sync::mpsc;

use super::*;

fn head() -> http::Request<()> {
    let mut head = http::Request::new(());
    *head.method_mut() = http::Method::POST;
    *head.uri_mut() = http::Uri::from_static("https://localhost/3/device/00");
    head
}

/// The moment in which a lease and a lowered limit cross lasts microseconds between two threads: here
/// there is no lease, only a peer that allows one stream.
#[tokio::test]
async fn what_the_peer_has_no_room_for_in_time_never_leaves_whole() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let peer = tokio::spawn(async move {
        let mut builder = h2::server::Builder::new();
        let mut wire = builder.max_concurrent_streams(1).handshake::<_, Bytes>(theirs).await?;
        while let Some(request) = wire.accept().await {
            let (request, answer) = request?;
            let arrived = arrived.clone();
            tokio::spawn(async move {
                let mut body = request.into_body();
                while let Some(chunk) = body.data().await {
                    if chunk.is_err() {
                        return;
                    }
                }
                // Nobody asks any more at the end.
                let _ = arrived.send(answer);
            });
        }
        Ok::<_, h2::Error>(())
    });
    let (opener, wire) = h2::client::handshake(ours).await.expect("a peer");
    let mut settled = opener.clone();
    let driven = tokio::spawn(wire);
    let connection = Arc::new(Connection::new(opener, &PoolConfig::new("localhost", 443)));
    while settled.current_max_send_streams() != 1 {
        poll_fn(|context| settled.poll_ready(context)).await.expect("a peer");
        tokio::task::yield_now().await;
    }

    let later = Instant::now() + Duration::from_secs(60);
    let first = tokio::spawn({
        let connection = connection.clone();
        async move { connection.exchange(head(), Bytes::from_static(b"{}"), later, later).await }
    });
    let mut stream = arrivals.recv().await.expect("the first request");
    let soon = Instant::now() + Duration::from_millis(50);
    let second = connection.exchange(head(), Bytes::from_static(b"{}"), soon, later).await;
    assert!(matches!(second, Exchange::NoRoom));
    stream.send_response(http::Response::new(()), true).expect("a stream");
    let answered = first.await.expect("no panic");
    assert!(matches!(answered, Exchange::Answer { status: 200, .. }));

    // Behind the third, the second can no longer come.
    let third = tokio::spawn({
        let connection = connection.clone();
        async move { connection.exchange(head(), Bytes::from_static(b"{}"), later, later).await }
    });
    let mut stream = arrivals.recv().await.expect("the third request");
    stream.send_response(http::Response::new(()), true).expect("a stream");
    assert!(matches!(third.await.expect("no panic"), Exchange::Answer { status: 200, .. }));
    assert!(arrivals.try_recv().is_err(), "the request given up arrived after all");
    peer.abort();
    driven.abort();
}
