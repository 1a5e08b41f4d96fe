//! How a crowd talks: everybody writes at a rate of their own, whether or not answers come in time.

use super::{Crowd, Person};
use crate::error::Error;
use crate::record::unique_text;
use crate::session::{Reply, Target};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Messages of one person in one conversation that may wait for their answers; then the person waits too.
const IN_FLIGHT: usize = 32;

/// How a talk went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Talk {
    /// Messages that were sent.
    pub sent: u64,
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// Messages that the server refused.
    pub refused: u64,
    /// Messages without an answer in time, or whose session ended.
    pub unanswered: u64,
    /// Messages that were sent late, for too many waited for an answer.
    pub held_back: u64,
}

impl Talk {
    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.held_back += other.held_back;
    }
}

impl Crowd {
    /// Lets both parties of each conversation write until `stop` says so, and waits for the last answers.
    pub async fn talk(&self, stop: &watch::Receiver<bool>) -> Talk {
        let (pause, bytes) = (self.plan.pause, self.plan.message_bytes);
        let writers = self.conversations.iter().enumerate().flat_map(|(number, conversation)| {
            self.parties(conversation).map(|(person, target)| {
                let writer = Writer {
                    who: format!("{}-{number}", person.name),
                    to: target.clone(),
                    pause,
                    bytes,
                    talk: Talk::default(),
                };
                writer.run(person, stop.clone())
            })
        });
        let mut all = Talk::default();
        for talk in join_all(writers).await {
            all.add(talk);
        }
        all
    }
}

/// One person in one conversation.
struct Writer {
    who: String,
    to: Target,
    pause: Duration,
    bytes: usize,
    talk: Talk,
}

impl Writer {
    async fn run(mut self, person: &Person, mut stop: watch::Receiver<bool>) -> Talk {
        let mut answers = FuturesUnordered::new();
        // Not everybody begins at once.
        let mut due = Instant::now() + self.pause.mul_f64(rand::random_range(0.0..1.0));
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                () = sleep_until(due), if answers.len() < IN_FLIGHT => {
                    if due.elapsed() > self.pause {
                        self.talk.held_back += 1;
                    }
                    due = (due + self.pause.mul_f64(rand::random_range(0.5..1.5))).max(Instant::now());
                    answers.push(self.write(person));
                }
                Some((text, answer)) = answers.next() => self.answered(person, &text, &answer),
            }
        }
        while let Some((text, answer)) = answers.next().await {
            self.answered(person, &text, &answer);
        }
        self.talk
    }

    fn write(&mut self, person: &Person) -> impl Future<Output = (String, Result<(), Error>)> + use<> {
        self.talk.sent += 1;
        let mut text = unique_text(&self.who, self.talk.sent);
        if text.len() < self.bytes {
            text.push(' ');
            text.extend(std::iter::repeat_n('x', self.bytes - text.len()));
        }
        person.log.sending(&self.to, &text);
        let part = Bytes::from(json!({"text": text}).to_string());
        let parameters = self.to.with(json!({"message_type": super::TEXT}));
        let reply: Reply = person.session.start("send_message", parameters, vec![part]);
        async move { (text, reply.event().await.map(|_| ())) }
    }

    fn answered(&mut self, person: &Person, text: &str, answer: &Result<(), Error>) {
        match answer {
            Ok(()) => self.talk.acknowledged += 1,
            Err(Error::Rejected(_)) => {
                self.talk.refused += 1;
                person.log.refused(text);
            }
            Err(error) => {
                self.talk.unanswered += 1;
                let text = text.trim_end_matches('x');
                tracing::warn!(%error, text, session = person.session.id(), "no answer");
            }
        }
    }
}
