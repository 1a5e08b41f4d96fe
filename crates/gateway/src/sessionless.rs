//! Calls: an action a request, without a session.

use crate::Shared;
use crate::poll::{bad_callback, respond};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use levee_proto::envelope::Splice;
use levee_proto::{Body, Envelope, Id, Rejection, Text, limits};
use serde::Deserialize;

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
    query: web::Query<Query>,
) -> HttpResponse {
    let Some(data) = &query.data else { return HttpResponse::BadRequest().body("data is missing\n") };
    if let Some(response) = bad_callback(query.callback.as_deref()) {
        return response;
    }
    let answer = answer(context.get_ref(), **arbiter, Bytes::copy_from_slice(data.as_bytes())).await;
    respond(&answer, query.callback.as_deref())
}

/// Answers `POST /v2/call` with JSON.
pub(crate) async fn post(
    context: web::Data<Shared>,
    arbiter: web::Data<u16>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let content_type = request.headers().get("content-type").and_then(|value| value.to_str().ok());
    let json =
        content_type.is_some_and(|value| value.split(';').next().map(str::trim) == Some("application/json"));
    if !json {
        return HttpResponse::UnsupportedMediaType().body("the content type is application/json\n");
    }
    respond(&answer(context.get_ref(), **arbiter, body).await, None)
}

/// The first event of the answer: JSON can't carry more.
async fn answer(context: &Shared, arbiter: u16, header: Bytes) -> String {
    let (body, action_id) = match call(context, arbiter, header).await {
        Ok((body, action_id)) => (body, action_id),
        Err((rejection, action_id)) => (Body::error(&rejection), action_id),
    };
    let splice = Splice { action_id, ..Splice::default() };
    body.bare().inline(splice).unwrap_or_default()
}

async fn call(
    context: &Shared,
    arbiter: u16,
    header: Bytes,
) -> Result<(Body, Option<u64>), (Rejection, Option<u64>)> {
    if header.len() > limits::HEADER_BYTES + limits::PART_BYTES {
        return Err((Rejection::malformed("the request is too long"), None));
    }
    let envelope = Envelope::parse(&header)?;
    let action_id = envelope.action_id;
    let refuse = |rejection| (rejection, action_id);
    let credentials: Credentials =
        serde_json::from_slice(&header).map_err(|e| refuse(Rejection::malformed(e.to_string())))?;
    let parts = Envelope::inline_payload(&header).map_err(refuse)?;
    // What is unknown or not supported is refused whoever calls.
    envelope.decode(&header).map_err(refuse)?;
    if envelope.action == "ping" {
        return Ok((Body::new(&levee_proto::events::Pong::default()), action_id));
    }
    let identity = credentials.caller_type.zip(credentials.caller_name);
    let auth = credentials.caller_auth.unwrap_or_default();
    let events = context
        .node
        .on(arbiter, move |hub| async move {
            let caller = hub.caller(credentials.caller_id, identity, &auth).await?;
            hub.call(caller, envelope, header, parts).await
        })
        .await
        .unwrap_or_else(|| Err(Rejection::new(levee_proto::ErrorType::Internal)))
        .map_err(refuse)?;
    match events.into_iter().next() {
        Some((body, _)) => Ok(((*body).clone(), action_id)),
        None => Err(refuse(Rejection::new(levee_proto::ErrorType::Internal))),
    }
}
