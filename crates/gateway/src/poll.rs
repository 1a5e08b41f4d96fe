//! Long polling: one action a request, events by way of `resume_session`, JSONP where asked for.

use crate::Shared;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use levee_cluster::call::Caller;
use levee_cluster::letter::Relayed;
use levee_cluster::relay::{self, Answer, Place};
use levee_cluster::session::Numbered;
use levee_cluster::{Connection, SessionMessage};
use levee_proto::envelope::Splice;
use levee_proto::{Body, Envelope, ErrorType, Rejection, Text, limits};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long opening a session may take.
const OPENING: Duration = Duration::from_secs(30);
/// How long the answer to a poll waits when it has replies: the official client for Go takes a reply for none that
/// comes before the answer to the request with the action.
const AFTER_REQUEST: Duration = Duration::from_millis(50);
/// What a client is told whose session did not live here before.
const MOVED: &str = "the session has come to this node\n";
/// What a client is told whose session leaves while it polls.
const LEFT: &str = "the session has left this node\n";
/// The longest callback name.
const CALLBACK_BYTES: usize = 256;

/// A request's query.
#[derive(Deserialize)]
pub(crate) struct Query {
    data: Option<String>,
    callback: Option<String>,
}

/// Answers `GET /v2/poll`, as the document has it.
pub(crate) async fn get(
    context: web::Data<Shared>,
    arbiter: web::Data<u16>,
    request: HttpRequest,
    query: web::Query<Query>,
) -> HttpResponse {
    let Some(data) = &query.data else { return HttpResponse::BadRequest().body("data is missing\n") };
    let from = context.client_address(request.peer_addr(), request.headers());
    let data = Bytes::copy_from_slice(data.as_bytes());
    poll(context.get_ref(), **arbiter, from, data, query.callback.as_deref()).await
}

/// Answers `POST /v2/poll`: the official client for Go sends the action as the body, and names no content type.
pub(crate) async fn post(
    context: web::Data<Shared>,
    arbiter: web::Data<u16>,
    request: HttpRequest,
    action: Bytes,
) -> HttpResponse {
    let from = context.client_address(request.peer_addr(), request.headers());
    poll(context.get_ref(), **arbiter, from, action, None).await
}

async fn poll(
    context: &Shared,
    arbiter: u16,
    from: Text,
    data: Bytes,
    callback: Option<&str>,
) -> HttpResponse {
    if let Some(response) = bad_callback(callback) {
        return response;
    }
    if data.len() > limits::HEADER_BYTES + limits::PART_BYTES {
        return HttpResponse::PayloadTooLarge().finish();
    }
    if context.node.is_draining() {
        // What it asks about has left, or is about to: it shall ask another node.
        return again("the node is stopping\n");
    }
    let events = match answer(context, arbiter, from, data).await {
        Ok(events) => events,
        Err(Trouble::Refused(rejection, action_id)) => {
            let splice = Splice { action_id, ..Splice::default() };
            Body::error(&rejection).inline(splice).into_iter().collect()
        }
        Err(Trouble::Again(why)) => return again(why),
    };
    respond(&format!("[{}]", events.join(",")), callback)
}

/// What a client without a socket takes for a lost connection: it begins anew, and sends again what has
/// no reply.
fn again(why: &'static str) -> HttpResponse {
    HttpResponse::ServiceUnavailable().insert_header(("retry-after", "1")).force_close().body(why)
}

/// Why a request gets no events.
enum Trouble {
    /// It is wrong, or not allowed.
    Refused(Rejection, Option<u64>),
    /// Whether the session has what it was sent before is not known.
    Again(&'static str),
}

impl From<(Rejection, Option<u64>)> for Trouble {
    fn from((rejection, action_id): (Rejection, Option<u64>)) -> Self {
        Self::Refused(rejection, action_id)
    }
}

async fn answer(context: &Shared, arbiter: u16, from: Text, header: Bytes) -> Result<Vec<String>, Trouble> {
    let envelope = Envelope::parse(&header)?;
    let action_id = envelope.action_id;
    let refuse = |rejection| Trouble::Refused(rejection, action_id);
    let node = context.node.clone();
    let number = context.connection_number();
    if envelope.action == "create_session" {
        let create = serde_json::from_slice(&header)
            .map_err(|_| {
                envelope.decode(&header).err().unwrap_or_else(|| Rejection::malformed("create_session"))
            })
            .map_err(refuse)?;
        let (sender, receiver) = oneshot::channel();
        let opened = node.on(arbiter, move |hub| async move {
            hub.create_session(create, action_id, Connection::Poll(sender), number).await
        });
        let session = opened.await.unwrap_or_else(busy).map_err(refuse)?;
        let _ = session.try_send(SessionMessage::Peer(from));
        let events = tokio::time::timeout(OPENING, receiver).await.ok().and_then(Result::ok);
        return Ok(said(&events.unwrap_or_default()));
    }
    if envelope.session_id.is_none() && envelope.decode(&header).is_ok_and(|action| action.is_open()) {
        let parts = Envelope::inline_payload(&header).map_err(refuse)?;
        let called =
            node.on(
                arbiter,
                move |hub| async move { hub.call(Caller::default(), envelope, header, parts).await },
            );
        let told = |(body, _): (Arc<Body>, _)| body.inline(Splice { action_id, ..Splice::default() });
        return Ok(called.await.unwrap_or_else(busy).map_err(refuse)?.into_iter().filter_map(told).collect());
    }
    let Some(session_id) = envelope.session_id.clone() else {
        return Err(refuse(Rejection::malformed("session_id is missing")));
    };
    let arbiter = node.arbiter_of(&session_id);
    let wanted = session_id.clone();
    let place = node.on(arbiter, move |hub| async move { hub.find(&wanted).await });
    // Where it is can't be told while the store is away.
    let lost = |rejection: Rejection| match rejection.error_type {
        ErrorType::Internal => Trouble::Again("the session can't be found now\n"),
        _ => refuse(rejection),
    };
    let session = match place.await.unwrap_or_else(busy).map_err(lost)? {
        Place::Here(session) => session,
        Place::Came => return Err(Trouble::Again(MOVED)),
        Place::There(other) => {
            let polls = envelope.action == "resume_session";
            let what = match polls {
                true => Relayed::Poll(envelope.event_id),
                false => Relayed::Act(header.clone(), Envelope::inline_payload(&header).map_err(refuse)?),
            };
            let wanted = session_id.clone();
            let there = other.clone();
            let answer = node.on(arbiter, move |hub| async move { hub.relay(&there, &wanted, what).await });
            match answer.await {
                Some(Answer::Events(events)) => return Ok(polled(&events).await),
                // It polls again, here or elsewhere.
                Some(Answer::Silence) if polls => return Ok(Vec::new()),
                Some(Answer::Silence) | None => return Err(Trouble::Again("no answer in time\n")),
                Some(Answer::Gone) => {
                    let settled =
                        node.on(arbiter, move |hub| async move { hub.settle(&other, &session_id).await });
                    settled.await.unwrap_or_else(busy).map_err(lost)?;
                    return Err(Trouble::Again(MOVED));
                }
            }
        }
    };
    let too_busy = |_| refuse(Rejection::new(ErrorType::SendRateLimited).because("too many actions at once"));
    if envelope.action == "resume_session" {
        let (sender, receiver) = oneshot::channel();
        session
            .try_send(SessionMessage::Connect(Connection::Poll(sender), number, envelope.event_id))
            .map_err(too_busy)?;
        let events = relay::polled(receiver).await.ok_or(Trouble::Again(LEFT))?;
        return Ok(polled(&events).await);
    }
    let parts = Envelope::inline_payload(&header).map_err(refuse)?;
    let _ = session.try_send(SessionMessage::Peer(from));
    let (sender, receiver) = oneshot::channel();
    let act = Box::new((envelope, header, parts));
    session.try_send(SessionMessage::Act(act, Some(sender))).map_err(too_busy)?;
    receiver.await.map_err(|_| Trouble::Again(LEFT))?;
    Ok(Vec::new())
}

fn busy<T>() -> Result<T, Rejection> {
    Err(Rejection::new(ErrorType::Internal).because("the server is too busy"))
}

/// The answer to a poll.
async fn polled(events: &[Numbered]) -> Vec<String> {
    if events.iter().any(|event| event.splice.action_id.is_some()) {
        tokio::time::sleep(AFTER_REQUEST).await;
    }
    said(events)
}

/// Events as objects. What can't be said in one is left out: such clients ask for JSON types only.
fn said(events: &[Numbered]) -> Vec<String> {
    events
        .iter()
        .map(|event| {
            let whole = if event.bare { None } else { event.body.inline(event.splice) };
            whole.or_else(|| event.body.bare().inline(event.splice)).unwrap_or_default()
        })
        .collect()
}

/// The answer to a callback that is no name: anybody could have any script said in our name by it.
pub(crate) fn bad_callback(callback: Option<&str>) -> Option<HttpResponse> {
    callback
        .filter(|name| !is_callback(name))
        .map(|_| HttpResponse::BadRequest().body("callback is not a name\n"))
}

fn is_callback(name: &str) -> bool {
    name.len() <= CALLBACK_BYTES
        && name.split('.').all(|part| {
            let mut letters = part.chars();
            letters.next().is_some_and(|first| first.is_ascii_alphabetic() || "_$".contains(first))
                && letters.all(|letter| letter.is_ascii_alphanumeric() || "_$".contains(letter))
        })
}

/// A JSON text, or the call of a function with it.
pub(crate) fn respond(json: &str, callback: Option<&str>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-content-type-options", "nosniff"));
    response.insert_header(("access-control-allow-origin", "*"));
    match callback {
        None => response.content_type("application/json").body(json.to_owned()),
        Some(name) => {
            // U+2028 and U+2029 are fine in JSON and were line ends in old scripts.
            let safe = json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
            // The comment keeps the first bytes from being read as anything but a script.
            response
                .content_type("application/javascript; charset=utf-8")
                .body(format!("/**/{name}({safe});"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_are_names() {
        for good in ["f", "_a.b$", "jQuery123_456"] {
            assert!(is_callback(good), "{good}");
        }
        let long = "a".repeat(CALLBACK_BYTES + 1);
        for bad in ["", "1a", "a;alert(1)", "a(b", "a.", ".a", "é", "a b", "<script>", long.as_str()] {
            assert!(!is_callback(bad), "{bad}");
        }
        assert!(bad_callback(None).is_none());
    }
}
