//! Single requests over HTTP: the long poll, the sessionless call, the service discovery.

use crate::address::Address;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::http::{Http, Response, escape};
use levee_proto::Object;
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

    /// Sends any body, for tests of bad input, and returns the bare answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn body(&mut self, content_type: &str, body: &[u8]) -> Result<Response> {
        let headers = [("Content-Type", content_type), ("Accept", "application/json")];
        self.http.request("POST", "/v2/call", &headers, body).await
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
