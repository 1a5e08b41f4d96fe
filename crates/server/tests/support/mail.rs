//! A server that sends mail, the mails, and identities that are verified by them.

use super::Server;
use super::cluster::Cluster;
use super::people::Person;
use levee_client::requests::Caller;
use levee_client::session::login;
use levee_client::{Error, Event, Options, Session};
use levee_testbed::{Smtp, Taken};
use serde_json::{Value, json};
use std::time::Duration;

const FROM: &str = "--mail-from=Levee <chat@example.org>";
const PAGE: &str = "--page-url=https://chat.example.org/console";

/// Starts a server whose mails go to a mail server of the test's own.
pub(crate) async fn start() -> (Server, Smtp) {
    let smtp = Smtp::start().expect("a mail server");
    let server = to(&smtp).await;
    (server, smtp)
}

/// Starts a server whose mails go to this mail server.
pub(crate) async fn to(smtp: &Smtp) -> Server {
    let url = format!("--smtp-url={}", smtp.url());
    Server::with(&[&url, FROM, PAGE]).await
}

/// Starts nodes whose mails go to this mail server.
pub(crate) async fn cluster_to(smtp: &Smtp, count: usize) -> Cluster {
    let url = format!("--smtp-url={}", smtp.url());
    Cluster::with(count, &[&url, FROM, PAGE]).await
}

/// Waits for the mail of this number, from 1.
pub(crate) async fn nth(smtp: &Smtp, number: usize) -> Taken {
    loop {
        if let Some(mail) = smtp.taken().into_iter().nth(number - 1) {
            return mail;
        }
        // Another process sends it: there is nothing to wait on but the mail.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The access key in a mail.
pub(crate) fn key(mail: &Taken) -> String {
    let body = mail.body();
    let key = body.split("https://chat.example.org/console/#/access/").nth(1).expect("a link");
    key.split_whitespace().next().expect("a key").to_owned()
}

/// An identity's parameters, with others.
pub(crate) fn of(name: &str, mut header: Value) -> Value {
    header["identity_type"] = "email".into();
    header["identity_name"] = name.into();
    header
}

/// Logs in.
pub(crate) async fn enter(server: &Server, name: &str, password: &str) -> Result<(), Error> {
    let opened = Session::create(&server.address(), login(name, password), Options::default()).await;
    opened.map(|_| ())
}

/// Somebody without a session asks for something.
pub(crate) async fn anybody(server: &Server, action: &str, header: Value) -> Event {
    Caller::anonymous(server.address()).post(action, header).await.expect("an answer")
}

/// Says whether an identity is one's own.
pub(crate) async fn verify(server: &Server, key: &str, accept: bool) -> Event {
    anybody(server, "verify_identity", json!({"access_key": key, "identity_accept": accept})).await
}

/// Adds an identity with a password and has it verified; `mails` have come before.
pub(crate) async fn verified(server: &Server, smtp: &Smtp, person: &Person, name: &str, password: &str) {
    let mails = smtp.taken().len();
    person
        .ask("create_identity", of(name, json!({"identity_auth_new": password})))
        .await
        .expect("an identity");
    let key = key(&nth(smtp, mails + 1).await);
    assert_eq!(verify(server, &key, true).await.name(), "identity_updated");
}
