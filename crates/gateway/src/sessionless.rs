//! Calls: an action a request, without a session.

mod answer;
mod request;

use crate::Shared;
use crate::poll::bad_callback;
use actix_web::{HttpRequest, HttpResponse, web};
use answer::{Accepted, Outcome};
use bytes::Bytes;
use levee_cluster::call::Caller;
use levee_proto::{Action, Body, Envelope, ErrorType, Id, Rejection, Text, UserAction, limits};
use request::Asked;
use serde::Deserialize;
use std::sync::Arc;

/// A request's query.
#[derive(Deserialize)]
pub(crate) struct Query {
    data: Option<String>,
    callback: Option<String>,
}

/// Who calls, as the header says.
#[derive(Deserialize)]
struct Credentials {
    caller_id: Option<Id>,
    caller_type: Option<Text>,
    caller_name: Option<Text>,
    caller_auth: Option<String>,
}

/// Answers `GET /v2/call`.
pub(crate) async fn get(
    context: web::Data<Shared>,
    arbiter: web::Data<u16>,
    request: HttpRequest,
    query: web::Query<Query>,
) -> HttpResponse {
    let Some(data) = &query.data else { return HttpResponse::BadRequest().body("data is missing\n") };
    if let Some(response) = bad_callback(query.callback.as_deref()) {
        return response;
    }
    let asked = Asked::Inline(Bytes::copy_from_slice(data.as_bytes()));
    let from = context.client_address(request.peer_addr(), request.headers());
    let outcome = call(context.get_ref(), **arbiter, from, asked).await;
    match &query.callback {
        Some(callback) => answer::script(outcome, callback),
        None => answer::accepted(outcome, &Accepted::of(request.headers())),
    }
}

/// Answers `POST /v2/call`.
pub(crate) async fn post(
    context: web::Data<Shared>,
    arbiter: web::Data<u16>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    let asked = match request::read(request.headers(), body, request::BODY_TIME).await {
        Ok(asked) => asked,
        Err(refusal) => return refusal.response(),
    };
    let from = context.client_address(request.peer_addr(), request.headers());
    let outcome = call(context.get_ref(), **arbiter, from, asked).await;
    answer::accepted(outcome, &Accepted::of(request.headers()))
}

async fn call(context: &Shared, arbiter: u16, from: Text, asked: Asked) -> Outcome {
    let (header, frames) = match asked {
        Asked::Inline(header) if header.len() > limits::HEADER_BYTES + limits::PART_BYTES => {
            return Err((Rejection::malformed("the request is too long"), None));
        }
        Asked::Inline(header) => (header, None),
        Asked::Framed(mut body) => {
            (request::header(&mut body).map_err(|rejection| (rejection, None))?, Some(body))
        }
    };
    let envelope = Envelope::parse(&header)?;
    let action_id = envelope.action_id;
    let refuse = |rejection| (rejection, action_id);
    let credentials: Credentials =
        serde_json::from_slice(&header).map_err(|e| refuse(Rejection::malformed(e.to_string())))?;
    let parts = match frames {
        None => Envelope::inline_payload(&header),
        Some(frames) => request::parts(frames, envelope.frames),
    };
    let parts = parts.map_err(refuse)?;
    // What is unknown or not supported is refused whoever calls.
    let action = envelope.decode(&header).map_err(refuse)?;
    if envelope.action == "ping" {
        let pong = Body::new(&levee_proto::events::Pong::default());
        return Ok((vec![(Arc::new(pong), None)], action_id));
    }
    let identity = credentials.caller_type.zip(credentials.caller_name);
    let auth = credentials.caller_auth;
    let nobody = credentials.caller_id.is_none() && identity.is_none() && auth.is_none();
    if let (true, Action::User(UserAction::CreateUser(create))) = (nobody, action) {
        let created = context.node.on(arbiter, move |hub| async move { hub.create_user(create).await }).await;
        let created = created.unwrap_or_else(|| Err(Rejection::new(ErrorType::Internal))).map_err(refuse)?;
        return Ok((vec![(Arc::new(Body::new(&created)), None)], action_id));
    }
    let events = context
        .node
        .on(arbiter, move |hub| async move {
            let caller = match nobody {
                // Some actions are for whoever has the key to something.
                true => Caller::default(),
                false => hub.caller(credentials.caller_id, identity, &auth.unwrap_or_default()).await?,
            };
            let caller = Caller { address: from, ..caller };
            hub.call(caller, envelope, header, parts).await
        })
        .await
        .unwrap_or_else(|| Err(Rejection::new(ErrorType::Internal)))
        .map_err(refuse)?;
    Ok((events, action_id))
}
