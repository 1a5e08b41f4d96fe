//! What a call is answered with: the content type that the `Accept` header and the events call for.

use crate::poll::respond;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, HeaderMap};
use actix_web::{HttpResponse, HttpResponseBuilder};
use levee_proto::envelope::Splice;
use levee_proto::{Body, ErrorType, Rejection, framing};
use std::sync::Arc;

/// Events, each with what is left of a history, and the action that they answer.
pub(super) type Events = (Vec<(Arc<Body>, Option<u64>)>, Option<u64>);
/// A call's outcome: events, or a refusal of the action.
pub(super) type Outcome = Result<Events, (Rejection, Option<u64>)>;

/// The content types of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The header of the first event.
    Json,
    /// All events with their payloads.
    Protobuf,
    /// The header of the first event, in a frame.
    Octets,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
            Self::Octets => "application/octet-stream",
        }
    }
}

/// Which content types a request accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted(Vec<Form>);

impl Accepted {
    /// What the header says. Without one, anything is accepted.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let all: Vec<&str> = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok()).collect();
        let anything = !headers.contains_key(ACCEPT);
        let forms = [Form::Json, Form::Protobuf, Form::Octets];
        Self(forms.into_iter().filter(|form| anything || accepts(&all.join(","), form.name())).collect())
    }

    /// The content type for an answer; `plain` means one event without payload. Where the choice is between
    /// incomplete answers it is JSON.
    fn choose(&self, plain: bool) -> Option<Form> {
        let order = match plain {
            true => [Form::Json, Form::Protobuf, Form::Octets],
            false => [Form::Protobuf, Form::Json, Form::Octets],
        };
        order.into_iter().find(|form| self.0.contains(form))
    }
}

/// Whether a list of media ranges has this one: the closest range decides, unless its weight is zero.
fn accepts(list: &str, wanted: &str) -> bool {
    let whole_type = wanted.split('/').next().unwrap_or_default();
    let closeness = |range: &str| match range {
        "*/*" => Some(0),
        _ if range.strip_suffix("/*").is_some_and(|name| name.eq_ignore_ascii_case(whole_type)) => Some(1),
        _ => range.eq_ignore_ascii_case(wanted).then_some(2),
    };
    let weigh = |range: &str| {
        let mut fields = range.split(';').map(str::trim);
        let closeness = closeness(fields.next()?)?;
        let weight = fields.find_map(|field| field.strip_prefix("q=").or(field.strip_prefix("Q=")));
        let zero = weight.is_some_and(|weight| weight.trim().parse::<f32>().is_ok_and(|q| q <= 0.0));
        Some((closeness, !zero))
    };
    list.split(',').filter_map(weigh).max().is_some_and(|(_, accepted)| accepted)
}

/// Answers with the first event, as JSON or as the call of a function with it.
pub(super) fn script(outcome: Outcome, callback: &str) -> HttpResponse {
    let (events, action_id) = events(outcome);
    respond(&first(&events, action_id), Some(callback))
}

/// Answers in a content type that is accepted.
pub(super) fn accepted(outcome: Outcome, accepted: &Accepted) -> HttpResponse {
    // Without a body, the status alone has to tell.
    let silent = match &outcome {
        Ok(_) => StatusCode::NO_CONTENT,
        Err((rejection, _)) if rejection.error_type == ErrorType::Internal => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let (events, action_id) = events(outcome);
    let plain = matches!(events.as_slice(), [(event, _)] if event.parts.is_empty());
    let Some(form) = accepted.choose(plain) else { return begin(silent).finish() };
    let body = match form {
        Form::Json => return respond(&first(&events, action_id), None),
        Form::Protobuf => {
            let frames = |(event, history_length): &(Arc<Body>, Option<u64>)| {
                let header = header(event, action_id, *history_length).into();
                std::iter::once(header).chain(event.parts.iter().cloned()).collect::<Vec<_>>()
            };
            let events: Vec<_> = events.iter().map(frames).collect();
            framing::encode_response(events.iter().map(Vec::as_slice))
        }
        Form::Octets => {
            let mut body = Vec::new();
            framing::push_frame(&mut body, first(&events, action_id).as_bytes());
            body
        }
    };
    begin(StatusCode::OK).content_type(form.name()).body(body)
}

/// An answer that any page may read, and nobody keeps.
pub(super) fn begin(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("access-control-allow-origin", "*"));
    response
}

/// The events of an outcome: there is always one.
fn events(outcome: Outcome) -> Events {
    let (rejection, action_id) = match outcome {
        Ok((events, action_id)) if !events.is_empty() => return (events, action_id),
        Ok((_, action_id)) => (Rejection::new(ErrorType::Internal), action_id),
        Err(refused) => refused,
    };
    (vec![(Arc::new(Body::error(&rejection)), None)], action_id)
}

fn first(events: &[(Arc<Body>, Option<u64>)], action_id: Option<u64>) -> String {
    events.first().map(|(event, left)| header(event, action_id, *left)).unwrap_or_default()
}

fn header(event: &Body, action_id: Option<u64>, history_length: Option<u64>) -> String {
    // `history_results` itself carries its length in its body.
    let history_length = history_length.filter(|_| event.event() != "history_results");
    event.bare().framed(Splice { action_id, history_length, event_id: None })
}

#[cfg(test)]
mod tests;
