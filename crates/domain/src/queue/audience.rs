//! Audiences that nobody waits for: made by an agent, or asked for without a chat. And what both have in common
//! with those that somebody waits for.

use super::stats::Share;
use super::*;
use crate::conversation::{Conversation, terms};
use crate::found::Found;
use crate::questionnaire::{End, TAGS, USER_NAME};
use crate::schedule;
use crate::site::{ANSWERS, ENVIRONMENTS};
use levee_proto::actions::queue::{CreateAudience, RegisterAudience, RequestAudience};
use levee_proto::attrs::{ChannelAttrs, Writable};
use levee_proto::limits;
use serde_json::Value;

#[cfg(test)]
mod tests;

/// The metadata that a queue may want of where its customers are, and what it is called then.
const GEOIP: &str = "geoip";

/// The setting without which nobody leaves contact requests.
const REGISTRATION: &str = "audience_registration";

/// What somebody asks for who wants an audience, or to leave a contact request.
pub(super) struct Asking {
    metadata: Option<Object>,
    /// The site whose questions were answered.
    site: Option<Text>,
    /// How many environments its page names.
    environments: usize,
    /// Nobody is to wait.
    registers: bool,
}

impl From<RequestAudience> for Asking {
    fn from(request: RequestAudience) -> Self {
        Self {
            metadata: request.audience_metadata,
            site: request.levee_site,
            environments: request.levee_environments.map_or(0, |named| named.len()),
            registers: false,
        }
    }
}

impl From<RegisterAudience> for Asking {
    fn from(register: RegisterAudience) -> Self {
        Self {
            metadata: register.audience_metadata,
            site: register.levee_site,
            environments: register.levee_environments.map_or(0, |named| named.len()),
            registers: true,
        }
    }
}

impl Queue {
    /// Who asks for an audience, and the name that they get by it. The audience's id is the same for a retry only.
    ///
    /// # Errors
    /// `request_malformed` for metadata that is too long and for wrong answers to a site's questions,
    /// `levee_site_not_found` for a site that is not the realm's, `permission_denied` for secure metadata that nobody
    /// with a master key has written.
    pub(super) fn asks(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        asking: Asking,
    ) -> Result<(Waiter, Option<Text>), Rejection> {
        let answered = self.answered(at, actor, &asking)?;
        let mut metadata = asking.metadata;
        let mut prelude = None;
        let mut named = None;
        if let Some(Answered { answers, begins, name }) = answered {
            metadata.get_or_insert_default().insert(ANSWERS.into(), Value::Object(answers));
            (prelude, named) = (begins.filter(|_| !asking.registers), name);
        }
        let mut metadata = metadata.filter(|object| !object.is_empty());
        let mut card = (*actor.card).clone();
        if let Some(secure) = metadata.as_mut().and_then(|object| object.get_mut("secure")) {
            // What a client sent is a text that was opened, or it is nothing: never take its word for it.
            let owner = at.realm.and_then(|realm| realm.attrs.owner_id.as_ref());
            let found = actor.found.as_ref().and_then(Found::secure);
            let (authority, opened, name) = found.ok_or_else(Rejection::denied)?;
            if !authority.is_over(self.realm.as_ref(), owner) {
                return Err(Rejection::denied());
            }
            *secure = Value::Object(opened.clone());
            // Whoever has a master key knows better than the customer.
            named = name.cloned().or(named);
        }
        let renamed = named.clone().filter(|name| card.name.as_ref() != Some(name));
        card.name = named.or(card.name);
        if serde_json::to_vec(&metadata).map_or(usize::MAX, |text| text.len()) > limits::OBJECT_BYTES {
            return Err(Rejection::malformed("audience_metadata is too long"));
        }
        if self.attrs.ninchat_metadata.iter().flatten().any(|kind| kind == GEOIP) {
            // It is the server's word: what the client calls so itself goes.
            let metadata = metadata.get_or_insert_default();
            metadata.remove(GEOIP);
            metadata.extend(actor.origin.clone().map(|origin| (GEOIP.to_owned(), Value::Object(origin))));
        }
        let metadata = metadata.filter(|object| !object.is_empty());
        // In the customer's shard, for the conversation will be there.
        let shard = ids::shard(&actor.user).unwrap_or_default();
        let audience = ids::derive(shard, &["audience", at.id, &actor.session, &cause(at, actor)]);
        let waiter = Waiter {
            audience,
            user: actor.user.clone(),
            card,
            since: at.now,
            metadata,
            source: None,
            seq: 0,
            prelude,
            master: actor.master.clone(),
            puppet: Self::shows(at, actor.puppet.as_ref()),
        };
        Ok((waiter, renamed))
    }

    /// What the answers to a site's questions come to here, if a site was named.
    fn answered(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        asking: &Asking,
    ) -> Result<Option<Answered>, Rejection> {
        if asking.environments > ENVIRONMENTS {
            return Err(Rejection::malformed(format!(
                "levee_environments has more than {ENVIRONMENTS} items"
            )));
        }
        if asking.site.is_none() {
            return Ok(None);
        }
        let asked = actor.found.as_ref().and_then(Found::asked);
        let asked =
            asked.ok_or_else(|| Rejection::new(ErrorType::Internal).because("no site was looked up"))?;
        let about = |refusal: Rejection| refusal.about("queue_id", at.id);
        let outcome = asked.in_realm(self.realm.as_ref()).map_err(about)?;
        match outcome.end {
            End::Complete => {}
            End::Register if asking.registers => {}
            End::Register => return Err(about(wrong("lead to a contact request, and to no audience"))),
            End::Close => return Err(about(wrong("lead to no audience"))),
        }
        let name = outcome.answers.get(USER_NAME).and_then(Value::as_str).map(Text::from);
        if name.as_ref().is_some_and(|name| name.len() > limits::NAME_BYTES) {
            return Err(about(wrong(&format!(
                "have a {USER_NAME} of more than {} bytes",
                limits::NAME_BYTES
            ))));
        }
        let mut answers = outcome.answers.clone();
        if !outcome.tags.is_empty() {
            answers.insert(TAGS.into(), json!(outcome.tags));
        }
        Ok(Some(Answered { answers, begins: Prelude::new(outcome), name }))
    }

    /// What is shown of a puppet in the queue's realm.
    pub(super) fn shows(at: &Moment<'_>, puppet: Option<&Puppet>) -> Option<Puppet> {
        Puppet::shown(puppet, at.realm.and_then(|realm| realm.attrs.owner_id.as_ref()))
    }

    /// Leaves a contact request. A queue that is closed or full takes it as well: nobody waits.
    pub(super) fn register(&self, at: &Moment<'_>, actor: &Actor, asking: Asking) -> Decision {
        if self.attrs.suspended.is_some() {
            return Err(Rejection::new(ErrorType::QueueIsSuspended).about("queue_id", at.id));
        }
        if self.settings.get(REGISTRATION).and_then(Value::as_bool) != Some(true) {
            return Err(Rejection::denied()
                .because("the queue's settings don't enable audience_registration")
                .about("queue_id", at.id));
        }
        let (waiter, renamed) = self.asks(at, actor, asking)?;
        let user = Stream::user(&actor.user);
        let mut step = Step::record(QueueRecord::Registered { waiter, session: actor.session.clone() });
        step.emits.extend(renamed.map(|name| Emit::Forward(user, json!({"Rename": {"name": name}}))));
        Ok(step)
    }

    /// Makes a channel for an audience that has an agent and no customer yet. The channel answers, as soon as it
    /// is there.
    pub(super) fn create_audience(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        create: CreateAudience,
    ) -> Decision {
        if !self.members.contains_key(&actor.user) || !standing.may(Right::CreateAudience) {
            return Err(Rejection::denied().about("queue_id", at.id));
        }
        if self.attrs.suspended.is_some() {
            return Err(Rejection::new(ErrorType::QueueIsSuspended).about("queue_id", at.id));
        }
        let Some(agent) = at.realm.and_then(|realm| realm.members.get(&create.user_id)) else {
            return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", &create.user_id));
        };
        let mut attrs = ChannelAttrs {
            private: Some(true),
            disclosed_since: Some(at.now / 1_000_000),
            upload: self.attrs.upload.clone(),
            video: self.attrs.video.clone(),
            ..ChannelAttrs::default()
        };
        if let Some(patch) = &create.channel_attrs {
            patch.check(|writable| matches!(writable, Writable::Initially | Writable::Operator))?;
            attrs = terms::changed(&attrs, patch, at.now)?;
        }
        if let Some(times) = &attrs.audience {
            appointment::check(times)?;
        }
        schedule::keep(attrs.schedule.as_ref(), &mut attrs.closed, at.now)?;
        // There is no customer in whose shard it could be.
        let shard = ids::shard(at.id).unwrap_or_default();
        let audience = ids::derive(shard, &["audience", at.id, &actor.session, &cause(at, actor)]);
        attrs.audience_id = Some(audience.clone());
        attrs.queue_id = Some(at.id.clone());
        let channel = Conversation::of_audience(&audience);
        let share = Share::new(&create.user_id, None, at.now);
        let mut order = json!({"Open": {
            "realm": self.realm,
            "attrs": attrs,
            "members": [[create.user_id, agent.user, {"operator": true}]],
            "puppets": agent.puppet.iter().map(|puppet| (&create.user_id, puppet)).collect::<BTreeMap<_, _>>(),
            "metadata": null,
            "command": null,
            "share": share,
            "made": actor.command().map(|command| (actor.listener(), command)),
        }});
        if at.realm.is_some_and(|realm| !realm.webhooks.is_empty()) {
            order["Open"]["hooks"] = true.into();
        }
        let begins = Self::begins(at, &audience, at.now, &create.user_id);
        let record = QueueRecord::AudienceCreated { audience, share };
        Ok(Step::record(record).and(begins).and(Emit::Forward(Stream::conversation(&channel), order)))
    }
}

/// What is taken of answers to a site's questions.
struct Answered {
    answers: Object,
    begins: Option<Prelude>,
    /// What the customer wants to be called.
    name: Option<Text>,
}

fn wrong(what: &str) -> Rejection {
    Rejection::malformed(format!("the answers in audience_metadata {what}"))
}

/// What tells one command from the next: without a session, nothing but its place among the records.
fn cause(at: &Moment<'_>, actor: &Actor) -> String {
    let command = actor.command();
    command.map_or_else(|| format!("{} {}", at.now, at.seq), |command| command.action_id.to_string())
}
