//! A server that sends mail, and the mails.

use super::Server;
use super::cluster::Cluster;
use levee_testbed::{Smtp, Taken};
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
