//! Rules that hold for every action, made from the table of actions: a new row is tested by them from its first day.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::Target;
use levee_client::{Event, RawSocket};
use levee_proto::actions::ACTIONS;
use levee_proto::catalog::{ActionInfo, Parameter};
use serde_json::{Map, Value, json};
use std::time::Duration;
use support::people::{Desk, Person};
use support::{Server, is_well, within};

/// How long a test with hundreds of actions may take.
const LONG: Duration = Duration::from_secs(120);

/// What anybody may do to a realm or a queue of others, for its doors are open: see that it is there, come in as a
/// customer.
const PUBLIC: &[&str] =
    &["describe_realm", "describe_realm_queues", "describe_queue", "request_audience", "track"];
/// Things that are seen from inside only: to others they are not there.
const HIDDEN: &[&str] = &["channel_id", "tag_id", "audience_id", "file_id"];
/// Things that anybody may ask for, so that a refusal may say that it is one.
const OPEN: &[&str] = &["realm_id", "queue_id"];

fn done() -> impl Iterator<Item = &'static ActionInfo> {
    ACTIONS.iter().filter(|action| action.done)
}

/// Somebody else's things, by the names of parameters.
struct World {
    ids: Map<String, Value>,
    _desk: Desk,
    _customer: Person,
}

async fn world(server: &Server) -> World {
    let mut desk = server.desk_with(json!({"name": "Help", "upload": "member"})).await;
    let mut customer = server.guest("Cleo").await;
    let audience = desk.meet(&mut customer).await;
    let found = desk.operator.ask("describe_channel", json!({"channel_id": audience})).await.unwrap();
    let tag = json!({"realm_id": desk.realm, "tag_attrs": {"name": "T"}});
    let tag = desk.operator.ask("create_tag", tag).await.unwrap();
    let file = support::files::sent(&customer, &Target::Channel(audience.clone()), "a.txt", b"words").await;
    let ids = json!({
        "file_id": file,
        "realm_id": desk.realm,
        "queue_id": desk.queue,
        "channel_id": audience,
        "audience_id": found.at("/channel_attrs/audience_id"),
        "tag_id": tag["tag_id"],
        "user_id": customer.user_id(),
        "message_user_id": customer.user_id(),
        "message_id": "0000000000001",
    });
    let Value::Object(ids) = ids else { panic!("an object") };
    World { ids, _desk: desk, _customer: customer }
}

/// A value that a parameter could have.
fn valid(parameter: &Parameter, ids: &Map<String, Value>) -> Value {
    if let Some(id) = ids.get(parameter.name) {
        return id.clone();
    }
    match (parameter.name, parameter.ty) {
        ("message_type", _) => json!("ninchat.com/text"),
        ("identity_type", _) => json!("email"),
        ("identity_name", _) => json!("somebody@example.org"),
        ("access_type", _) => json!("channel"),
        ("file_attrs", _) => json!({"name": "a.txt"}),
        (_, "Id" | "Text") => json!("x"),
        (_, "bool") => json!(true),
        (_, "u64" | "i64" | "f64") => json!(1),
        (_, ty) if ty.starts_with("Vec") => json!([]),
        _ => json!({}),
    }
}

/// A value that a parameter can't have.
fn wrong(parameter: &Parameter) -> Value {
    match parameter.ty {
        "Id" | "Text" => json!({"a": 1}),
        _ => json!("x"),
    }
}

/// An action with all that it requires.
fn header(action: &ActionInfo, ids: &Map<String, Value>) -> Value {
    let required = action.parameters.iter().filter(|parameter| parameter.required);
    let mut header: Map<String, Value> =
        required.map(|parameter| (parameter.name.to_owned(), valid(parameter, ids))).collect();
    header.insert("action".into(), action.name.into());
    if action.name == "update_session" {
        // Without one there is nothing to say, and no answer.
        header.insert("message_id".into(), ids["message_id"].clone());
    }
    Value::Object(header)
}

/// Asks, with a payload where one is due.
async fn ask(socket: &mut RawSocket, mut header: Value, number: &mut u64) -> Event {
    *number += 1;
    header["action_id"] = (*number).into();
    let sends = header["action"] == "send_message" || header["action"] == "send_file";
    if sends {
        header["frames"] = 1.into();
    }
    let parts: &[&str] = if sends { &[r#"{"text":"hello"}"#] } else { &[] };
    let asked = header.to_string();
    socket.ask(header, parts).await.unwrap_or_else(|error| panic!("{asked}: {error}"))
}

/// Somebody who belongs to nothing, and is no guest.
async fn stranger(server: &Server) -> RawSocket {
    let mut socket = server.raw().await;
    let create = json!({"action": "create_session", "message_types": ["*"], "user_attrs": {"guest": false}});
    socket.action(create, &[]).await.unwrap();
    socket.named("session_created").await.unwrap();
    socket
}

#[tokio::test]
async fn a_parameter_that_is_missing_or_of_a_wrong_type_is_malformed() {
    within(LONG, async {
        let server = Server::start().await;
        let world = world(&server).await;
        let mut socket = stranger(&server).await;
        let (mut number, mut wrong_answers) = (0, Vec::new());
        for action in done() {
            for parameter in action.parameters {
                let mut cases = vec![("wrong", wrong(parameter))];
                if parameter.required {
                    cases.push(("missing", Value::Null));
                }
                for (case, value) in cases {
                    let mut header = header(action, &world.ids);
                    header[parameter.name] = value;
                    let answer = ask(&mut socket, header, &mut number).await;
                    if answer.error_type() != "request_malformed" {
                        let said = format!("{} {}", answer.name(), answer.error_type());
                        wrong_answers.push(format!("{}, {} {case}: {said}", action.name, parameter.name));
                    }
                }
            }
        }
        assert!(number > 200, "{number} cases only");
        assert!(wrong_answers.is_empty(), "{wrong_answers:#?}");
        is_well(&mut socket).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_of_others_looks_as_if_it_were_not_there() {
    within(LONG, async {
        let server = Server::start().await;
        let world = world(&server).await;
        let mut socket = stranger(&server).await;
        let (mut number, mut cases, mut leaks) = (0, 0, Vec::new());
        for action in done() {
            let names = action.parameters.iter().map(|parameter| parameter.name);
            for name in names.filter(|name| HIDDEN.contains(name) || OPEN.contains(name)) {
                let mut answers = Vec::new();
                for id in [world.ids[name].clone(), json!("00absent0000000000")] {
                    let mut header = header(action, &world.ids);
                    header[name] = id;
                    let answer = ask(&mut socket, header, &mut number).await;
                    let mut answer = Value::Object(answer.header().clone());
                    for own in ["action_id", "event_id", name] {
                        answer.as_object_mut().unwrap().remove(own);
                    }
                    answers.push(answer);
                }
                cases += 1;
                let [theirs, absent] = &answers[..] else { panic!("two answers") };
                let fine = if absent["event"] != "error" {
                    false
                } else if theirs["event"] != "error" {
                    OPEN.contains(&name) && PUBLIC.contains(&action.name)
                } else if HIDDEN.contains(&name) {
                    theirs == absent
                } else {
                    theirs == absent || theirs["error_type"] == "permission_denied"
                };
                if !fine {
                    leaks.push(format!("{}, {name}: {theirs} and {absent}", action.name));
                }
            }
        }
        assert!(cases > 40, "{cases} cases only");
        assert!(leaks.is_empty(), "{leaks:#?}");
        is_well(&mut socket).await;
    })
    .await;
}

#[tokio::test]
async fn a_puppet_of_somebody_else_looks_as_if_it_were_not_there() {
    within(LONG, async {
        let server = Server::start().await;
        let world = world(&server).await;
        let puppet = world._desk.operator.ask("create_user", json!({})).await.unwrap();
        let mut socket = stranger(&server).await;
        let (mut number, mut absent, mut leaks) = (0, 0, Vec::new());
        for action in done() {
            let mut answers = Vec::new();
            for id in [puppet["user_id"].clone(), json!("00absent0000000000")] {
                let mut header = header(action, &world.ids);
                header["puppet_id"] = id;
                let answer = ask(&mut socket, header, &mut number).await;
                let mut answer = Value::Object(answer.header().clone());
                for own in ["action_id", "event_id", "puppet_id"] {
                    answer.as_object_mut().unwrap().remove(own);
                }
                answers.push(answer);
            }
            let first = &answers[0];
            absent += usize::from(first["error_type"] == "user_not_found");
            let about_session = action.owner == "Session" && first["error_type"] == "action_not_supported";
            let malformed = first["error_type"] == "request_malformed";
            let refused = first["error_type"] == "user_not_found" || about_session || malformed;
            if !refused || answers[1] != *first {
                leaks.push(format!("{}: {answers:?}", action.name));
            }
        }
        assert!(absent > 60, "{absent} cases only");
        assert!(leaks.is_empty(), "{leaks:#?}");
        is_well(&mut socket).await;
    })
    .await;
}
