//! Answers that are put together from what several owners say.

use super::SessionActor;
use super::birth::{Belongings, created};
use crate::letter::Attached;
use actix::prelude::*;
use levee_domain::account::ACCOUNT;
use levee_domain::view::{Kind, Stream};
use levee_proto::{Body, Id, Object, events};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How long owners may take to answer: long enough for another node to take over from one that died.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the answers are for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// `session_created`.
    Created { session_id: Id, user_auth: Option<Id>, user: Object },
    /// `user_found` of the session's own user.
    Found { user: Object },
    /// `realm_queues_found`.
    Queues { realm: Id },
}

/// Answers that are being gathered.
#[derive(Debug)]
pub(super) struct Gather {
    purpose: Purpose,
    action_id: Option<u64>,
    missing: Vec<Stream>,
    got: Vec<(Stream, Object)>,
    number: u64,
}

impl SessionActor {
    /// Waits for the owners of some streams, which have been asked.
    pub(super) fn gather(
        &mut self,
        purpose: Purpose,
        action_id: Option<u64>,
        missing: Vec<Stream>,
        ctx: &mut Context<Self>,
    ) {
        let number = self.gathers.last().map_or(0, |last| last.number + 1);
        let gather = Gather { purpose, action_id, missing, got: Vec::new(), number };
        if gather.missing.is_empty() {
            return self.complete(gather, ctx);
        }
        self.gathers.push(gather);
        ctx.run_later(PATIENCE, move |actor, ctx| {
            if let Some(at) = actor.gathers.iter().position(|gather| gather.number == number) {
                let gather = actor.gathers.remove(at);
                tracing::warn!(session = %actor.id, missing = gather.missing.len(), "an answer is incomplete");
                actor.hub.shared.metrics.drop("gather_timeout");
                if let Purpose::Created { .. } = gather.purpose {
                    actor.tell_later(&gather.missing);
                }
                actor.complete(gather, ctx);
            }
        });
    }

    /// One owner has answered.
    pub(super) fn gathered(&mut self, attached: Attached, ctx: &mut Context<Self>) {
        let mut complete = Vec::new();
        let mut at = 0;
        while let Some(gather) = self.gathers.get_mut(at) {
            if let Some(found) = gather.missing.iter().position(|stream| *stream == attached.stream) {
                let stream = gather.missing.swap_remove(found);
                if attached.roles != 0 {
                    if let (Purpose::Found { user }, Kind::User) = (&mut gather.purpose, stream.kind) {
                        *user = attached.summary.clone();
                    }
                    gather.got.push((stream, attached.summary.clone()));
                }
            }
            if gather.missing.is_empty() { complete.push(self.gathers.remove(at)) } else { at += 1 }
        }
        for gather in complete {
            self.complete(gather, ctx);
        }
    }

    /// What the client was not told of at the beginning, it hears of as if its user had just entered that.
    fn tell_later(&mut self, missing: &[Stream]) {
        for stream in missing {
            if let Some(following) = self.follows.get_mut(stream) {
                following.announce = Some(Box::default());
            }
        }
    }

    fn belongings(&self, got: Vec<(Stream, Object)>, highlighted: &HashSet<Id>) -> Belongings {
        let mut has = Belongings::default();
        for (stream, summary) in got {
            has.add(&stream, summary, self.read.get(&stream.id).copied(), highlighted.contains(&stream.id));
        }
        has
    }

    fn account(&self, user: &Object) -> Object {
        self.hub.shared.options.quotas.account(user.get(ACCOUNT))
    }

    /// All have answered: what is unread is looked through, if the user wants that.
    fn complete(&mut self, gather: Gather, ctx: &mut Context<Self>) {
        let unread = match &gather.purpose {
            Purpose::Created { user, .. } | Purpose::Found { user } => {
                self.hub.unread(&self.user, user, &gather.got, |id| self.read.get(id).copied())
            }
            Purpose::Queues { .. } => None,
        };
        let Some(unread) = unread else { return self.tell_gathered(gather, &HashSet::new(), ctx) };
        let looking = unread.highlighted(self.hub.store()).into_actor(self);
        ctx.spawn(looking.map(|found, actor, ctx| actor.tell_gathered(gather, &found, ctx)));
    }

    fn tell_gathered(&mut self, gather: Gather, highlighted: &HashSet<Id>, ctx: &mut Context<Self>) {
        let body = match gather.purpose {
            Purpose::Created { session_id, user_auth, user } => {
                let has = self.belongings(gather.got, highlighted);
                let account = self.account(&user);
                let event = created(session_id, self.user.clone(), user_auth, &user, (account, has));
                self.tell(Arc::new(Body::new(&event)), gather.action_id, ctx);
                return self.go_on(ctx);
            }
            Purpose::Found { user } => {
                let got = gather.got.into_iter().filter(|(stream, _)| stream.kind != Kind::User).collect();
                let has = self.belongings(got, highlighted);
                let account = self.account(&user);
                let all = created(Id::default(), self.user.clone(), None, &user, (account, has));
                Body::new(&events::UserFound {
                    user_id: self.user.clone(),
                    user_attrs: all.user_attrs,
                    user_settings: Some(all.user_settings),
                    user_account: Some(all.user_account),
                    user_identities: all.user_identities,
                    user_channels: Some(all.user_channels),
                    user_dialogues: Some(all.user_dialogues),
                    user_realms: Some(all.user_realms),
                    user_realms_member: all.user_realms_member,
                    user_queues: all.user_queues,
                    puppet_masters: all.puppet_masters,
                    ..Default::default()
                })
            }
            Purpose::Queues { realm } => {
                let queues = gather.got.into_iter().map(|(stream, mut summary)| {
                    summary.remove("realm_id");
                    (stream.id.to_string(), Value::Object(summary))
                });
                Body::new(&events::RealmQueuesFound { realm_id: realm, realm_queues: queues.collect() })
            }
        };
        self.tell(Arc::new(body), gather.action_id, ctx);
        self.flush(ctx);
    }
}
