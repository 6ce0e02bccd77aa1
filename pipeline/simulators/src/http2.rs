//! One HTTP/2 connection as a provider serves it: the stream limit, sending away, resets, silence
//! and delay. What is answered is the [`Service`]'s decision; this module carries it out.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::request::Parts;
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, sleep_until};

use crate::control::Controls;
use crate::journal::Journal;
use crate::wire::{Reworded, Wording};

/// More of a body than any provider takes is not read.
pub(crate) const BODY_MAX: usize = 64 * 1024;
/// APNs announces 8000 (seen in jchambers/pushy#878).
const HEADER_LIST_MAX: u32 = 8000;
/// The protocol's own initial window (RFC 9113 §6.9.2), which APNs keeps.
const WINDOW: u32 = 65_535;

/// A request, read to its end or to the limit.
pub(crate) struct Ask {
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
    /// Whether the body went on beyond what is read.
    pub(crate) is_cut: bool,
    pub(crate) stream: u32,
}

/// What becomes of a request.
pub(crate) enum Reaction {
    Answer { response: Response<Bytes>, after: Duration },
    Reset,
    Silence,
}

/// What a connection does to a client that opens more streams than it was allowed.
pub(crate) enum Excess {
    /// RST_STREAM with REFUSED_STREAM: the client cannot know the limit yet, or it has just fallen.
    Refuse,
    GoAway {
        code: Reason,
        debug: &'static str,
    },
}

/// One connection's view of a provider: it decides, nothing more.
pub(crate) trait Service: Send + 'static {
    fn judge(&mut self, ask: &Ask) -> Reaction;
    /// The present limit of concurrent streams.
    fn streams(&self) -> u32;
    fn excess(&self) -> Excess;
}

#[derive(Clone)]
pub(crate) struct Limits {
    /// The highest value that `Service::streams` ever has.
    pub(crate) streams_max: u32,
    pub(crate) goaway_after: Option<u64>,
    pub(crate) idle_timeout: Option<Duration>,
}

/// Serves a connection to its end.
pub(crate) async fn serve<T, S>(
    io: T,
    service: S,
    limits: &Limits,
    controls: Arc<Controls>,
    journal: Arc<Journal>,
) where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service,
{
    let announced = service.streams();
    let wording = Wording::new(announced);
    // `h2` enforces a limit of its own without a word of ours; far above, it only stops madness.
    let Ok(connection) = Builder::new()
        .max_concurrent_streams(limits.streams_max.saturating_mul(2).saturating_add(1000))
        .max_header_list_size(HEADER_LIST_MAX)
        .initial_window_size(WINDOW)
        .handshake(Reworded::new(io, wording.clone()))
        .await
    else {
        return;
    };
    let served = Served {
        connection,
        service,
        wording,
        announced,
        open: 0,
        begun: 0,
        last: u32::MAX,
        last_begun: 0,
        work: FuturesUnordered::new(),
        controls,
        journal,
    };
    served.run(limits).await;
}

type Begun = (Request<RecvStream>, SendResponse<Bytes>);
type Work = Pin<Box<dyn Future<Output = Event> + Send>>;

enum Event {
    Read {
        ask: Box<Ask>,
        respond: SendResponse<Bytes>,
    },
    Due {
        response: Response<Bytes>,
        respond: SendResponse<Bytes>,
    },
    /// The client gave the stream up.
    Gone,
}

struct Served<T, S> {
    connection: Connection<Reworded<T>, Bytes>,
    service: S,
    wording: Arc<Wording>,
    announced: u32,
    /// Streams begun and not answered.
    open: u32,
    begun: u64,
    /// Streams above this are not processed: the connection is being sent away.
    last: u32,
    last_begun: u32,
    work: FuturesUnordered<Work>,
    controls: Arc<Controls>,
    journal: Arc<Journal>,
}

impl<T, S> Served<T, S>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service,
{
    async fn run(mut self, limits: &Limits) {
        let mut orders = self.controls.orders();
        let mut goaways = orders.borrow_and_update().goaways;
        let mut quiet_since = Instant::now();
        loop {
            let idle = limits.idle_timeout.filter(|_| self.open == 0 && self.last == u32::MAX);
            let idle_until = quiet_since + idle.unwrap_or_default();
            tokio::select! {
                begun = poll_fn(|cx| {
                    let streams = self.service.streams();
                    let announced = &mut self.announced;
                    poll_accept(cx, &mut self.connection, &self.wording, announced, streams)
                }) => match begun {
                    Some(Ok((request, respond))) => self.begin(request, respond, limits),
                    Some(Err(_)) | None => return,
                },
                Some(event) = self.work.next(), if !self.work.is_empty() => self.go_on(event),
                Ok(()) = orders.changed() => {
                    let ordered = orders.borrow_and_update().goaways;
                    if ordered != goaways {
                        goaways = ordered;
                        self.send_away(self.last_begun, "Shutdown");
                    }
                }
                () = sleep_until(idle_until), if idle.is_some() => {
                    self.send_away(self.last_begun, "IdleTimeout");
                }
            }
            quiet_since = Instant::now();
        }
    }

    fn begin(
        &mut self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        limits: &Limits,
    ) {
        let stream = respond.stream_id().as_u32();
        if stream > self.last || self.controls.take_refused_stream() {
            respond.send_reset(Reason::REFUSED_STREAM);
            self.journal.answer("REFUSED_STREAM".into());
            return;
        }
        if self.open >= self.service.streams() {
            self.exceed(respond);
            return;
        }
        self.last_begun = stream;
        self.begun += 1;
        if limits.goaway_after.is_some_and(|after| self.begun >= after) {
            self.send_away(stream, "Shutdown");
        }
        self.open += 1;
        self.work.push(Box::pin(read(request, respond, stream)));
    }

    fn exceed(&mut self, mut respond: SendResponse<Bytes>) {
        match self.service.excess() {
            Excess::Refuse => {
                respond.send_reset(Reason::REFUSED_STREAM);
                self.journal.answer("REFUSED_STREAM".into());
            }
            Excess::GoAway { code, debug } => {
                self.wording.set_farewell(self.last_begun, Bytes::from_static(debug.as_bytes()));
                self.last = self.last.min(self.last_begun);
                self.connection.abrupt_shutdown(code);
                self.journal.answer("GOAWAY".into());
            }
        }
    }

    /// GOAWAY: streams up to `last` are answered, later ones were never processed. APNs tells why
    /// as JSON in the debug data (Apple, "Communicating with APNs").
    fn send_away(&mut self, last: u32, reason: &str) {
        self.last = self.last.min(last);
        let debug = format!("{{\"reason\":\"{reason}\"}}");
        self.wording.set_farewell(self.last, debug.into());
        self.connection.graceful_shutdown();
    }

    fn go_on(&mut self, event: Event) {
        match event {
            Event::Read { ask, respond } => match self.service.judge(&ask) {
                Reaction::Answer { response, after } if after.is_zero() => {
                    self.answer(response, respond);
                }
                Reaction::Answer { response, after } => self.work.push(Box::pin(async move {
                    sleep(after).await;
                    Event::Due { response, respond }
                })),
                Reaction::Reset => {
                    let mut respond = respond;
                    respond.send_reset(Reason::INTERNAL_ERROR);
                    self.open -= 1;
                }
                Reaction::Silence => self.work.push(Box::pin(abandoned(respond))),
            },
            Event::Due { response, respond } => self.answer(response, respond),
            Event::Gone => self.open -= 1,
        }
    }

    fn answer(&mut self, response: Response<Bytes>, mut respond: SendResponse<Bytes>) {
        self.open -= 1;
        let (parts, body) = response.into_parts();
        // An empty body ends on the HEADERS frame, as APNs' does. A client that has gone is no
        // trouble.
        let sent = respond.send_response(Response::from_parts(parts, ()), body.is_empty());
        if let Ok(mut stream) = sent
            && !body.is_empty()
        {
            let _ = stream.send_data(body, true);
        }
    }
}

/// `h2`'s accept, with the stream limit kept up to date on the way. `h2` allows one SETTINGS frame
/// to be unacknowledged, so a change may have to wait for the client's answer to the one before: it
/// is tried before and after everything that has arrived was read.
fn poll_accept<T>(
    cx: &mut Context<'_>,
    connection: &mut Connection<Reworded<T>, Bytes>,
    wording: &Wording,
    announced: &mut u32,
    streams: u32,
) -> Poll<Option<Result<Begun, h2::Error>>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let accepted = connection.poll_accept(cx);
        if *announced == streams || accepted.is_ready() {
            return accepted;
        }
        wording.set_streams(streams);
        // Setting the window to what it is makes `h2` send the frame that carries the limit.
        if connection.set_initial_window_size(WINDOW).is_err() {
            return accepted;
        }
        *announced = streams;
    }
}

async fn read(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    stream: u32,
) -> Event {
    let (parts, mut body) = request.into_parts();
    let mut whole = BytesMut::new();
    let mut is_cut = false;
    while let Some(piece) = body.data().await {
        let Ok(piece) = piece else { return abandoned_at_once(&mut respond) };
        let _ = body.flow_control().release_capacity(piece.len());
        whole.extend_from_slice(&piece);
        if whole.len() > BODY_MAX {
            is_cut = true;
            break;
        }
    }
    let ask = Box::new(Ask { parts, body: whole.freeze(), is_cut, stream });
    Event::Read { ask, respond }
}

fn abandoned_at_once(respond: &mut SendResponse<Bytes>) -> Event {
    respond.send_reset(Reason::CANCEL);
    Event::Gone
}

/// Waits until the client gives the stream up.
async fn abandoned(mut respond: SendResponse<Bytes>) -> Event {
    let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
    Event::Gone
}

/// Serves a connection for benchmarks: every request is answered with what `answer` makes of it, as
/// soon as its body has ended; nothing is checked or kept.
pub(crate) async fn serve_null<T>(
    io: T,
    streams: u32,
    delay: Duration,
    answer: impl Fn(&Request<RecvStream>) -> Response<Bytes>,
) where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(mut connection) = Builder::new()
        .max_concurrent_streams(streams)
        .initial_window_size(1 << 20)
        .initial_connection_window_size(16 << 20)
        .handshake(io)
        .await
    else {
        return;
    };
    let mut work = FuturesUnordered::new();
    loop {
        tokio::select! {
            begun = connection.accept() => {
                let Some(Ok((request, respond))) = begun else { return };
                let response = answer(&request);
                work.push(answer_null(request.into_body(), response, respond, delay));
            }
            Some(()) = work.next(), if !work.is_empty() => {}
        }
    }
}

async fn answer_null(
    mut body: RecvStream,
    response: Response<Bytes>,
    mut respond: SendResponse<Bytes>,
    delay: Duration,
) {
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
    }
    if !delay.is_zero() {
        sleep(delay).await;
    }
    let (parts, content) = response.into_parts();
    let sent = respond.send_response(Response::from_parts(parts, ()), content.is_empty());
    if let Ok(mut stream) = sent
        && !content.is_empty()
    {
        let _ = stream.send_data(content, true);
    }
}
