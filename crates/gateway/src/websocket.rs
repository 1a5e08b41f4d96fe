//! WebSockets: the only module that knows actix-web-actors.
//!
//! The upgraded socket is driven by one task (`pump`), which reads through a buffer of its thread,
//! feeds the actor's context, and writes what that puts out. Nothing is buffered between messages. A
//! wheel per thread keeps connections alive and ends those that stall: none has a timer of its own.

mod pump;
mod wheel;

use crate::Shared;

use actix::prelude::*;
use actix_codec::Framed;
use actix_http::{Request, StatusCode, h1, ws as handshake};
use actix_web_actors::ws;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use levee_cluster::call::Caller;
use levee_cluster::session::OVERHEAD;
use levee_cluster::{CloseReason, Connection, Outgoing, SessionActor, SessionMessage};
use levee_proto::envelope::Splice;
use levee_proto::frames::{Complete, Frames, LARGEST_FRAME};
use levee_proto::{Body, Envelope, ErrorType, Rejection, Text};
use pump::Socket;
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use wheel::Arbiter;

/// The subprotocol of the API.
const SUBPROTOCOL: &str = "ninchat.com";
/// How many actions may wait for a session to open.
const WAITING: usize = 1024;
/// How many batches of events may wait for a connection.
const MAILBOX: usize = 4096;

/// Takes an upgraded request over: answers it, and leaves the socket to a task of its own, so that what
/// served the request (its head, its buffers, the task itself) does not live as long as the socket.
pub(crate) async fn upgrade<I>(here: Arbiter, request: Request, mut framed: Framed<I, h1::Codec>)
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let accepted = match here.context.node.is_draining() {
        true => Err((StatusCode::SERVICE_UNAVAILABLE, "the node is stopping")),
        false if here.context.is_files_host(&request.head().headers) => {
            Err((StatusCode::NOT_FOUND, "no WebSocket here"))
        }
        false => accept(&request),
    };
    let response = match accepted {
        Ok(response) => response,
        Err((status, reason)) => {
            let response = actix_http::Response::with_body(status, ()).map_body(|_, ()| ());
            let mut response = response;
            response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
            tracing::debug!(reason, path = request.path(), "an upgrade was refused");
            let _ = send_head(&mut framed, response).await;
            return;
        }
    };
    if send_head(&mut framed, response).await.is_err() {
        return;
    }
    let peer = here.context.client_address(request.peer_addr(), &request.head().headers);
    let parts = framed.into_parts();
    let socket = Rc::new(Socket::new(parts.io));
    // A copy, for the buffer itself is far larger than what is in it.
    let early = Bytes::copy_from_slice(&parts.read_buf);
    let actor = WebSocket {
        number: here.context.connection_number(),
        here: here.clone(),
        peer,
        link: socket.link().clone(),
        state: State::New,
        frames: Frames::default(),
        assembling: None,
    };
    here.watch(socket.link());
    let codec = handshake::Codec::new().max_size(LARGEST_FRAME);
    let output = ws::WebsocketContext::with_codec(actor, pump::Input::new(socket.clone(), early), codec);
    actix::spawn(pump::run(socket, Box::pin(output)));
}

async fn send_head<I>(framed: &mut Framed<I, h1::Codec>, response: actix_http::Response<()>) -> Result<(), ()>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    use futures_util::SinkExt;
    let message = h1::Message::Item((response, actix_http::body::BodySize::None));
    framed.send(message).await.map_err(|error| tracing::debug!(%error, "a handshake was not answered"))
}

/// Checks the handshake.
fn accept(request: &Request) -> Result<actix_http::Response<()>, (StatusCode, &'static str)> {
    if request.path() != "/v2/socket" {
        return Err((StatusCode::NOT_FOUND, "no WebSocket here"));
    }
    let mut builder = handshake::handshake(request.head())
        .map_err(|_| (StatusCode::BAD_REQUEST, "no WebSocket handshake"))?;
    let mut offered = request.head().headers.get_all("sec-websocket-protocol").peekable();
    if offered.peek().is_some() {
        let ours = offered
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|name| name.trim() == SUBPROTOCOL);
        if !ours {
            return Err((StatusCode::BAD_REQUEST, "no subprotocol of ours"));
        }
        builder.insert_header(("sec-websocket-protocol", SUBPROTOCOL));
    }
    builder.message_body(()).map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "no answer could be made"))
}

/// A connection.
pub(crate) struct WebSocket {
    number: u64,
    here: Arbiter,
    peer: Text,
    link: Rc<pump::Link>,
    state: State,
    frames: Frames,
    assembling: Option<Box<BytesMut>>,
}

type Incoming = Box<(Envelope, Bytes, Vec<Bytes>)>;

/// How far a connection is with its session.
enum State {
    /// Nothing was said yet.
    New,
    /// The session is being opened or looked for.
    Opening(VecDeque<Incoming>),
    /// It has a session.
    Bound(Rc<Addr<SessionActor>>),
    /// It is closed, or about to be.
    Closed,
}

impl WebSocket {
    fn context(&self) -> &Shared {
        &self.here.context
    }

    /// Sends an event that concerns this connection only.
    fn send(&self, body: &Body, action_id: Option<u64>, ctx: &mut ws::WebsocketContext<Self>) {
        self.write(body, Splice { action_id, ..Splice::default() }, false, ctx);
    }

    fn write(&self, body: &Body, splice: Splice, bare: bool, ctx: &mut ws::WebsocketContext<Self>) {
        if bare {
            ctx.text(body.bare().framed(splice));
            return;
        }
        ctx.text(body.framed(splice));
        for part in &body.parts {
            match ByteString::try_from(part.clone()) {
                Ok(text) => ctx.text(text),
                Err(_) => ctx.binary(part.clone()),
            }
        }
    }

    fn refuse(&self, rejection: &Rejection, action_id: Option<u64>, ctx: &mut ws::WebsocketContext<Self>) {
        self.send(&Body::error(rejection), action_id, ctx);
    }

    fn close(&mut self, code: ws::CloseCode, reason: &str, ctx: &mut ws::WebsocketContext<Self>) {
        if !matches!(self.state, State::Closed) {
            self.context().metrics.closed.with_label_values(&[reason]).inc();
        }
        self.leave();
        ctx.close(Some(ws::CloseReason { code, description: Some(reason.to_owned()) }));
        ctx.stop();
    }

    fn leave(&mut self) {
        if let State::Bound(session) = std::mem::replace(&mut self.state, State::Closed) {
            let _ = session.try_send(SessionMessage::Disconnect(self.number));
        }
    }

    fn frame(&mut self, frame: Bytes, ctx: &mut ws::WebsocketContext<Self>) {
        match self.frames.take(frame) {
            None => {}
            Some(Complete::Action(act)) => self.act(act, ctx),
            Some(Complete::Malformed(rejection, action_id)) => match &self.state {
                State::Bound(session) => {
                    self.pass(session, SessionMessage::Malformed(rejection, action_id), ctx);
                }
                _ => self.refuse(&rejection, action_id, ctx),
            },
            Some(Complete::Hopeless(rejection, action_id)) => {
                self.refuse(&rejection, action_id, ctx);
                self.close(ws::CloseCode::Policy, "hopeless_frame", ctx);
            }
        }
    }

    fn pass(
        &self,
        session: &Addr<SessionActor>,
        message: SessionMessage,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        if let Err(error) = session.try_send(message) {
            match error {
                SendError::Full(SessionMessage::Act(act, _)) => {
                    let busy = Rejection::new(ErrorType::SendRateLimited).because("too many actions at once");
                    self.refuse(&busy, act.0.action_id, ctx);
                }
                SendError::Full(_) => {}
                SendError::Closed(_) => {
                    self.refuse(&Rejection::new(ErrorType::SessionNotFound), None, ctx);
                    ctx.stop();
                }
            }
        }
    }

    fn act(&mut self, act: Incoming, ctx: &mut ws::WebsocketContext<Self>) {
        match &mut self.state {
            State::Bound(session) => {
                let session = session.clone();
                self.pass(&session, SessionMessage::Act(act, None), ctx);
            }
            State::Opening(waiting) if waiting.len() < WAITING => waiting.push_back(act),
            State::Opening(_) => {
                let busy = Rejection::new(ErrorType::SendRateLimited).because("the session is not open yet");
                self.refuse(&busy, act.0.action_id, ctx);
            }
            State::Closed => {}
            State::New => self.begin(act, ctx),
        }
    }

    /// The first action of a connection.
    fn begin(&mut self, act: Incoming, ctx: &mut ws::WebsocketContext<Self>) {
        if self.context().node.is_draining() {
            return self.close(ws::CloseCode::Away, "the node is stopping", ctx);
        }
        let (envelope, header, _) = &*act;
        let action_id = envelope.action_id;
        match envelope.action.as_str() {
            "create_session" => {
                let create = match serde_json::from_slice(header) {
                    Ok(create) => create,
                    Err(_) => {
                        // The table's own decoding words the reason.
                        let rejection = envelope.decode(header).err();
                        let rejection = rejection.unwrap_or_else(|| Rejection::malformed("create_session"));
                        return self.refuse(&rejection, action_id, ctx);
                    }
                };
                let connection = self.way(ctx);
                let (node, arbiter, number) = (self.context().node.clone(), self.here.number, self.number);
                let opening = async move {
                    node.on(arbiter, move |hub| async move {
                        hub.create_session(create, action_id, connection, number).await
                    })
                    .await
                };
                self.open(opening, action_id, None, ctx);
            }
            "resume_session" | "close_session" => {
                let Some(session_id) = envelope.session_id.clone() else {
                    let missing = Rejection::malformed("session_id is missing");
                    return self.refuse(&missing, action_id, ctx);
                };
                let node = self.context().node.clone();
                let arbiter = node.arbiter_of(&session_id);
                let way = ctx.address().recipient::<Outgoing>();
                let finding = async move {
                    let wanted = move || way.connected();
                    node.on(arbiter, move |hub| async move { hub.session(&session_id, wanted).await }).await
                };
                self.open(finding, action_id, Some(act), ctx);
            }
            "ping" => self.send(&Body::new(&levee_proto::events::Pong::default()), action_id, ctx),
            _ => match envelope.decode(header) {
                Ok(action) if action.is_open() => self.call(*act, ctx),
                Ok(_) => {
                    let early = "the first action is create_session, resume_session or close_session";
                    self.refuse(&Rejection::malformed(early), action_id, ctx);
                }
                Err(rejection) => self.refuse(&rejection, action_id, ctx),
            },
        }
    }

    /// An action that takes no session: its answer concerns this connection only. What comes meanwhile waits.
    fn call(
        &mut self,
        (envelope, header, parts): (Envelope, Bytes, Vec<Bytes>),
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        let action_id = envelope.action_id;
        let (node, arbiter) = (self.context().node.clone(), self.here.number);
        let calling = async move {
            node.on(arbiter, |hub| async move { hub.call(Caller::default(), envelope, header, parts).await })
                .await
        };
        self.state = State::Opening(VecDeque::new());
        ctx.spawn(calling.into_actor(self).map(move |called, actor, ctx| {
            let busy = || Err(Rejection::new(ErrorType::Internal).because("the server is too busy"));
            match called.unwrap_or_else(busy) {
                Ok(events) => events.iter().for_each(|(body, _)| actor.send(body, action_id, ctx)),
                Err(rejection) => actor.refuse(&rejection, action_id, ctx),
            }
            let waiting = match std::mem::replace(&mut actor.state, State::New) {
                State::Opening(waiting) => waiting,
                other => {
                    actor.state = other;
                    return;
                }
            };
            for act in waiting {
                actor.act(act, ctx);
            }
        }));
    }

    /// The session's way to this connection.
    fn way(&self, ctx: &mut ws::WebsocketContext<Self>) -> Connection {
        Connection::Socket(ctx.address().recipient(), self.link.flow.clone())
    }

    fn open(
        &mut self,
        opening: impl Future<Output = Option<Result<Addr<SessionActor>, Rejection>>> + 'static,
        action_id: Option<u64>,
        resuming: Option<Incoming>,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        self.state = State::Opening(VecDeque::new());
        ctx.spawn(opening.into_actor(self).map(move |opened, actor, ctx| {
            let waiting = match std::mem::replace(&mut actor.state, State::New) {
                State::Opening(waiting) => waiting,
                // It was closed meanwhile: the session must not count on this connection.
                other => {
                    actor.state = other;
                    if let Some(Ok(session)) = opened {
                        let _ = session.try_send(SessionMessage::Disconnect(actor.number));
                    }
                    return;
                }
            };
            let busy = || Err(Rejection::new(ErrorType::Internal).because("the server is too busy"));
            match opened.unwrap_or_else(busy) {
                Ok(session) => {
                    let _ = session.try_send(SessionMessage::Peer(actor.peer.clone()));
                    if let Some(act) = resuming {
                        if act.0.action == "close_session" {
                            let _ = session.try_send(SessionMessage::Act(act, None));
                            return actor.close(ws::CloseCode::Normal, "closed", ctx);
                        }
                        actor.connect(&session, act.0.event_id, ctx);
                    }
                    let session = Rc::new(session);
                    actor.link.bind(session.clone());
                    actor.state = State::Bound(session);
                    for act in waiting {
                        actor.act(act, ctx);
                    }
                }
                Err(rejection) => actor.refuse(&rejection, action_id, ctx),
            }
        }));
    }

    /// Has a session take this connection. It may end at this moment: then the client must hear of it.
    fn connect(
        &self,
        session: &Addr<SessionActor>,
        event_id: Option<u64>,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        let connect = SessionMessage::Connect(self.way(ctx), self.number, event_id);
        ctx.spawn(session.send(connect).into_actor(self).map(|taken, actor, ctx| {
            if taken.is_err() {
                actor.state = State::New;
                actor.refuse(&Rejection::new(ErrorType::SessionNotFound), None, ctx);
            }
        }));
    }

    /// A fragment of a frame.
    fn fragment(&mut self, item: handshake::Item, ctx: &mut ws::WebsocketContext<Self>) {
        let (begin, data, last) = match item {
            handshake::Item::FirstText(data) | handshake::Item::FirstBinary(data) => (true, data, false),
            handshake::Item::Continue(data) => (false, data, false),
            handshake::Item::Last(data) => (false, data, true),
        };
        let buffer = self.assembling.get_or_insert_default();
        if begin {
            buffer.clear();
        }
        if buffer.len() + data.len() > LARGEST_FRAME {
            return self.close(ws::CloseCode::Size, "frame_too_large", ctx);
        }
        buffer.extend_from_slice(&data);
        if last {
            let whole = self.assembling.take().unwrap_or_default().freeze();
            self.frame(whole, ctx);
        }
    }
}

impl Actor for WebSocket {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.leave();
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for WebSocket {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        self.link.heard();
        self.context().metrics.frames_in.inc();
        match message {
            Ok(ws::Message::Text(text)) => self.frame(text.into_bytes(), ctx),
            Ok(ws::Message::Binary(data)) => self.frame(data, ctx),
            Ok(ws::Message::Continuation(item)) => self.fragment(item, ctx),
            Ok(ws::Message::Ping(data)) => ctx.pong(&data),
            Ok(ws::Message::Pong(_) | ws::Message::Nop) => {}
            Ok(ws::Message::Close(_)) => self.close(ws::CloseCode::Normal, "by_client", ctx),
            Err(ws::ProtocolError::Overflow) => self.close(ws::CloseCode::Size, "frame_too_large", ctx),
            Err(error) => {
                tracing::debug!(%error, "a frame can't be read");
                self.close(ws::CloseCode::Protocol, "protocol_error", ctx);
            }
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        if !matches!(self.state, State::Closed) {
            self.context().metrics.closed.with_label_values(&["lost"]).inc();
        }
        self.leave();
        ctx.stop();
    }
}

impl Handler<Outgoing> for WebSocket {
    type Result = ();

    fn handle(&mut self, outgoing: Outgoing, ctx: &mut Self::Context) {
        match outgoing {
            Outgoing::Events(events) => {
                let mut bytes = OVERHEAD;
                self.context().metrics.frames_out.inc_by(events.len() as u64);
                for event in events {
                    bytes += event.body.size();
                    self.write(&event.body, event.splice, event.bare, ctx);
                }
                self.link.handed(bytes);
            }
            Outgoing::Close(event, reason) => {
                if let Some(body) = event {
                    self.send(&body, None, ctx);
                }
                let (code, name) = match reason {
                    CloseReason::Closed => (ws::CloseCode::Normal, "closed"),
                    CloseReason::Superseded => (ws::CloseCode::Normal, "superseded"),
                    CloseReason::Gone => (ws::CloseCode::Normal, "session_gone"),
                    CloseReason::Slow => (ws::CloseCode::Policy, "slow_reader"),
                    CloseReason::GoingAway => (ws::CloseCode::Away, "going_away"),
                };
                self.close(code, name, ctx);
            }
        }
    }
}
