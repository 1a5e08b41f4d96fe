//! Single requests over HTTP: the long poll, the sessionless call, the service discovery.

use crate::address::Address;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::http::{Http, Response, escape};
use bytes::Bytes;
use levee_proto::{Object, framing};
use serde_json::Value;

/// Asks the service discovery for hosts to connect to.
///
/// # Errors
/// When there is no answer, or none that is understood.
pub async fn endpoint(address: &Address) -> Result<Vec<String>> {
    let response = Http::new(address.clone()).get("/v2/endpoint").await?;
    let body: Value = json(&response)?;
    let hosts = body["hosts"].as_array().ok_or_else(|| Error::Protocol("there are no hosts".into()))?;
    Ok(hosts.iter().filter_map(|host| host.as_str().map(str::to_owned)).collect())
}

/// Sends an action to the long poll and returns the events of the answer. `resume_session` waits for some.
///
/// # Errors
/// When there is no answer, or none that is understood.
pub async fn poll(http: &mut Http, action: &Value) -> Result<Vec<Event>> {
    let response = poll_with(http, action, Some("levee")).await?;
    if response.status != 200 {
        return Err(Error::Status(response.status));
    }
    let text = response.text();
    // Some servers begin with an empty comment, so that the answer can't pass for a file of another kind.
    let text = text.trim().trim_start_matches("/**/");
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let array = text
        .strip_prefix("levee(")
        .and_then(|rest| rest.trim_end_matches(';').strip_suffix(')'))
        .ok_or_else(|| Error::Protocol(format!("no call of the callback: {:.80}", text)))?;
    if array.trim().is_empty() {
        return Ok(Vec::new());
    }
    let events: Vec<Value> =
        serde_json::from_str(array).map_err(|error| Error::Protocol(error.to_string()))?;
    events.into_iter().map(Event::inline).collect()
}

/// Sends an action to the long poll with any callback, or none, and returns the bare answer.
///
/// # Errors
/// When there is no answer.
pub async fn poll_with(http: &mut Http, action: &Value, callback: Option<&str>) -> Result<Response> {
    let mut path = format!("/v2/poll?data={}", escape(&action.to_string()));
    if let Some(callback) = callback {
        path.push_str(&format!("&callback={}", escape(callback)));
    }
    http.get(&path).await
}

/// Makes actions without a session.
pub struct Caller {
    http: Http,
    /// What goes into every action: the credentials.
    credentials: Object,
}

impl Caller {
    /// A caller without credentials.
    pub fn anonymous(address: Address) -> Self {
        Self { http: Http::new(address), credentials: Object::new() }
    }

    /// A caller with a user's token.
    pub fn user(address: Address, user_id: &str, user_auth: &str) -> Self {
        Self::anonymous(address).with("caller_id", user_id).with("caller_auth", user_auth)
    }

    /// A caller with an e-mail identity's password.
    pub fn email(address: Address, name: &str, password: &str) -> Self {
        Self::anonymous(address)
            .with("caller_type", "email")
            .with("caller_name", name)
            .with("caller_auth", password)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.credentials.insert(name.to_owned(), value.into());
        self
    }

    fn action(&self, action: &str, parameters: &Value) -> String {
        let mut header = self.credentials.clone();
        header.extend(parameters.as_object().cloned().unwrap_or_default());
        header.insert("action".to_owned(), action.into());
        Value::Object(header).to_string()
    }

    /// Calls with a POST request; the answer is the first event, an error too.
    ///
    /// # Errors
    /// When there is no answer, or none that is understood.
    pub async fn post(&mut self, action: &str, parameters: Value) -> Result<Event> {
        let body = self.action(action, &parameters);
        let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
        event(&self.http.request("POST", "/v2/call", &headers, body.as_bytes()).await?)
    }

    /// Calls with a GET request; the answer is the first event, an error too.
    ///
    /// # Errors
    /// When there is no answer, or none that is understood.
    pub async fn get(&mut self, action: &str, parameters: Value) -> Result<Event> {
        let path = format!("/v2/call?data={}", escape(&self.action(action, &parameters)));
        event(&self.http.request("GET", &path, &[("Accept", "application/json")], b"").await?)
    }

    /// Calls with a payload of several parts, as frames; the answer is every event with its payload, or one
    /// error.
    ///
    /// # Errors
    /// When there is no answer, or none that is understood.
    pub async fn frames(
        &mut self,
        action: &str,
        parameters: Value,
        parts: &[impl AsRef<[u8]>],
    ) -> Result<Vec<Event>> {
        let body = self.octets(action, &parameters, parts);
        let headers = [("Content-Type", "application/octet-stream"), ("Accept", "application/x-protobuf")];
        events(&self.send(&headers, &body).await?)
    }

    /// The body of frames of an action with its payload.
    pub fn octets(&self, action: &str, parameters: &Value, parts: &[impl AsRef<[u8]>]) -> Vec<u8> {
        let mut body = Vec::new();
        framing::push_frame(&mut body, self.action(action, parameters).as_bytes());
        parts.iter().for_each(|part| framing::push_frame(&mut body, part.as_ref()));
        body
    }

    /// Sends any body, for tests of bad input, and returns the bare answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn body(&mut self, content_type: &str, body: &[u8]) -> Result<Response> {
        self.send(&[("Content-Type", content_type), ("Accept", "application/json")], body).await
    }

    /// Sends any body with any headers, and returns the bare answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&mut self, headers: &[(&str, &str)], body: &[u8]) -> Result<Response> {
        self.http.request("POST", "/v2/call", headers, body).await
    }
}

/// The events in the answer to a call, whichever of the content types it has; none if it has no body.
///
/// # Errors
/// When it is none.
pub fn events(response: &Response) -> Result<Vec<Event>> {
    let wrong = |error: framing::FramingError| Error::Protocol(error.to_string());
    match (response.status, response.header("content-type")) {
        (204, _) => Ok(Vec::new()),
        (200, "application/x-protobuf") => {
            let events = framing::decode_response(response.body.clone()).map_err(wrong)?;
            events.into_iter().map(Event::framed).collect()
        }
        (200, "application/octet-stream") => {
            let mut body = response.body.clone();
            let mut headers: Vec<Bytes> = Vec::new();
            while let Some(frame) = framing::next_frame(&mut body).map_err(wrong)? {
                headers.push(frame);
            }
            headers.into_iter().map(|header| Event::framed(vec![header])).collect()
        }
        _ => Ok(vec![event(response)?]),
    }
}

fn json(response: &Response) -> Result<Value> {
    serde_json::from_slice(&response.body).map_err(|_| match response.status {
        200 => Error::Protocol(format!("no JSON: {:.80}", response.text())),
        status => Error::Status(status),
    })
}

fn event(response: &Response) -> Result<Event> {
    Event::inline(json(response)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(content_type: &str, body: &'static [u8]) -> Result<Vec<Event>> {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        events(&Response { status: 200, headers, body: Bytes::from_static(body) })
    }

    #[test]
    fn an_answer_is_read_by_its_content_type() {
        let header = r#"{"event":"pong"}"#;
        let pong = Event::framed(vec![header.into()]).unwrap();
        let with_payload = Event::framed(vec![header.into(), "a".into(), "".into()]).unwrap();
        assert_eq!(with_payload.parts(), ["a", ""]);
        assert_eq!(answer("application/json", header.as_bytes()).unwrap(), std::slice::from_ref(&pong));
        assert_eq!(
            answer("application/octet-stream", b"\x10{\"event\":\"pong\"}").unwrap(),
            std::slice::from_ref(&pong)
        );
        let body =
            b"\x0a\x12\x0a\x10{\"event\":\"pong\"}\x0a\x17\x0a\x10{\"event\":\"pong\"}\x0a\x01a\x0a\x00";
        assert_eq!(answer("application/x-protobuf", body).unwrap(), [pong, with_payload]);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for (content_type, body) in [
            ("application/json", &b"nonsense"[..]),
            ("application/json", b""),
            ("application/octet-stream", b"\x7f\xff"),
            ("application/octet-stream", b"\x03abc"),
            ("application/x-protobuf", b"\x0a\xff\xff\xff\xff\x7f"),
            ("application/x-protobuf", b"\x0a\x00"),
            ("application/x-protobuf", b"garbage"),
        ] {
            assert!(answer(content_type, body).is_err(), "{content_type} {body:x?}");
        }
    }
}
