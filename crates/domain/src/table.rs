//! For tests: a machine with its records, to which inputs are given one by one.

use crate::entity::{Entity, Outcome};
use crate::found::{Brought, Found};
use crate::machine::{Actor, Columns, Emit, Entry, Input, Machine, Moment, Step};
use crate::past::{Amend, Past, PastRecord, Wanted};
use crate::puppet::Puppet;
use crate::realm::Realm;
use crate::view::Stream;
use bytes::Bytes;
use levee_proto::attrs::UserAttrs;
use levee_proto::{Action, ErrorType, Id, Rejection, ids};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const ID: &str = "00aaaaaaaaaaaaaaaa";

pub(crate) struct Table<M: Machine> {
    pub(crate) id: Id,
    /// Where those who act are.
    pub(crate) origin: Option<levee_proto::Object>,
    pub(crate) entity: Entity<M>,
    pub(crate) realm: Option<Realm>,
    pub(crate) now: u64,
    /// What is looked up and checked for actions.
    pub(crate) brought: Brought,
    /// What was found out instead of that.
    pub(crate) found: Option<Found>,
    /// Who has an identity that was verified.
    pub(crate) verified: Option<&'static str>,
    /// Whose puppet everybody is.
    pub(crate) puppet: Option<Puppet>,
    /// The master through whom all act, as puppets.
    pub(crate) master: Option<&'static str>,
    next_action: u64,
    /// What a store would have.
    log: Vec<Logged>,
    /// What its directory would have.
    pub(crate) rows: BTreeMap<(&'static str, Id), Bytes>,
}

/// A record as it is stored.
struct Logged {
    time: u64,
    columns: Columns,
    body: Bytes,
}

pub(crate) type Given<M> = Result<Step<Entry<<M as Machine>::Record>>, Rejection>;

impl<M: Machine> Table<M> {
    pub(crate) fn new() -> Self {
        Self {
            id: ID.into(),
            origin: None,
            entity: Entity::default(),
            realm: None,
            now: 1_000_000,
            brought: Brought::default(),
            found: None,
            verified: None,
            puppet: None,
            master: None,
            next_action: 0,
            log: Vec::new(),
            rows: BTreeMap::new(),
        }
    }

    /// A user acts, by a header without its action id.
    pub(crate) fn act(&mut self, user: &str, name: &str, header: Value, parts: &[&str]) -> Given<M> {
        self.next_action += 1;
        let action_id = self.next_action;
        self.act_as(user, Some(action_id), name, header, parts)
    }

    /// A user acts with an action id of their own choice.
    pub(crate) fn act_as(
        &mut self,
        user: &str,
        action_id: Option<u64>,
        name: &str,
        header: Value,
        parts: &[&str],
    ) -> Given<M> {
        let action = Action::decode(name, header.to_string().as_bytes())?;
        let card = UserAttrs { name: Some(user.into()), ..UserAttrs::default() };
        let actor = Actor {
            user: user.into(),
            master: self.master.map(Id::from),
            session: Id::from("session-of-") + self.master.unwrap_or(user),
            action_id,
            card: Arc::new(card.clone()),
            puppet: self.puppet.clone(),
            message_types: Arc::from(["ninchat.com/*".into()]),
            origin: self.origin.clone(),
            found: Some(match &self.found {
                Some(found) => found.clone(),
                None if self.verified == Some(user) => Found::Verified(true),
                None => Found::Brought(Box::new(Brought {
                    secret: Some(self.secret()),
                    peer: header["user_id"].as_str().map(|peer| (peer.into(), Arc::new(card))),
                    ..self.brought.clone()
                })),
            }),
        };
        let parts = parts.iter().map(|part| Bytes::copy_from_slice(part.as_bytes())).collect();
        self.give(Input::Action(actor, action, parts))
    }

    /// The secret that the last action brought.
    pub(crate) fn secret(&self) -> Id {
        ids::secret(0, &[1; 16], self.next_action)
    }

    /// Another entity orders something.
    pub(crate) fn order(&mut self, order: Value) -> Given<M> {
        self.give(Input::Order(serde_json::from_value(order).expect("an order")))
    }

    fn give(&mut self, input: Input<M::Order>) -> Given<M> {
        self.now += 1_000_000;
        let id = self.id.clone();
        let at = self.entity.moment(self.now, &id, self.realm.as_ref());
        let past = self.entity.machine.wants(&at, &input).map(|wanted| self.find(&wanted));
        let at = Moment { past: past.as_ref(), ..at };
        // As the actor has it: never before the last record.
        let now = at.now;
        let absorbed = input.clone();
        match self.entity.decide(&at, input)? {
            Outcome::Repeated(_) => Ok(Step::nothing()),
            Outcome::Step(step) => {
                for emit in &step.emits {
                    match emit {
                        Emit::Amend(amend) => {
                            self.log.iter_mut().zip(1..).for_each(|(logged, seq)| logged.amend(seq, amend));
                        }
                        Emit::Claim(claim) => {
                            let key = (claim.namespace, claim.key.clone());
                            match claim.value.clone() {
                                Some(value) => self.rows.insert(key, value),
                                None => self.rows.remove(&key),
                            };
                        }
                        _ => {}
                    }
                }
                for record in &step.records {
                    // What is stored must be read as it was written.
                    let text = serde_json::to_vec(record).expect("it can be written");
                    let read: Entry<M::Record> = serde_json::from_slice(&text).expect("it can be read");
                    self.entity.apply(now, &read);
                    let columns = M::columns(&read.record);
                    self.log.push(Logged { time: now, columns, body: text.into() });
                }
                self.entity.machine.absorb(now, &absorbed);
                Ok(step)
            }
        }
    }
}

impl<M: Machine> Table<M> {
    /// What was appended, as it is stored now: sequence, flags and what it says.
    pub(crate) fn stored(&self) -> Vec<(u64, u32, Entry<M::Record>)> {
        let read = |(logged, seq): (&Logged, u64)| {
            let mut entry: Entry<M::Record> = serde_json::from_slice(&logged.body).expect("it can be read");
            M::amended(&mut entry.record, logged.columns.flags);
            (seq, logged.columns.flags, entry)
        };
        self.log.iter().zip(1..).map(read).collect()
    }

    /// The entity as who loads it from its records alone finds it.
    pub(crate) fn replayed(&self) -> Entity<M> {
        let mut entity = Entity::default();
        for (logged, (_, _, entry)) in self.log.iter().zip(self.stored()) {
            entity.apply(logged.time, &entry);
        }
        entity
    }

    fn find(&self, wanted: &Wanted) -> Past {
        let wanted = match wanted {
            Wanted::Records(wanted) => wanted,
            Wanted::Rows(wanted) => {
                let rows = wanted.ranges.iter().flat_map(|range| {
                    let fits = |key: &Id| key.starts_with(range.prefix.as_str()) && *key > range.after;
                    let rows = self
                        .rows
                        .iter()
                        .filter(move |((namespace, key), _)| *namespace == wanted.namespace && fits(key));
                    rows.take(range.limit).map(|((_, key), value)| (key.clone(), value.clone()))
                });
                return Past { rows: rows.collect(), ..Past::default() };
            }
        };
        let through = self.log.iter().take_while(|logged| logged.time <= wanted.until).count() as u64;
        let mut records: Vec<PastRecord> = (1..)
            .zip(&self.log)
            .filter(|(seq, logged)| {
                let columns = &logged.columns;
                *seq > wanted.after
                    && *seq < wanted.before.min(through + 1)
                    && columns.flags & wanted.with_flags == wanted.with_flags
                    && columns.flags & wanted.without_flags == 0
                    && wanted.author.as_ref().is_none_or(|author| *author == columns.author)
            })
            .map(|(seq, logged)| {
                let body = wanted.bodies.then(|| logged.body.clone());
                PastRecord { seq, flags: logged.columns.flags, body }
            })
            .collect();
        records.drain(..records.len().saturating_sub(wanted.limit));
        Past { records, through, rows: Vec::new() }
    }
}

impl Logged {
    fn amend(&mut self, seq: u64, amend: &Amend) {
        let concerned = seq > amend.after
            && seq < amend.before
            && self.columns.flags & amend.with_flags == amend.with_flags
            && amend.author.as_ref().is_none_or(|author| *author == self.columns.author);
        if concerned {
            self.columns.flags = self.columns.flags & !amend.clear_flags | amend.set_flags;
            if let Some(body) = &amend.body {
                self.body = body.clone();
            }
        }
    }
}

/// The type of a refusal.
pub(crate) fn refused<T>(given: Result<T, Rejection>) -> Option<ErrorType> {
    given.err().map(|rejection| rejection.error_type)
}

/// The orders that a step forwards: to whom, and which.
pub(crate) fn forwards<R>(step: &Step<R>) -> Vec<(Stream, String)> {
    let names = step.emits.iter().filter_map(Emit::forwarded).map(|(to, order)| {
        let name = order.as_object().and_then(|object| object.keys().next().cloned());
        (to.clone(), name.unwrap_or_default())
    });
    names.collect()
}
