//! For tests: a machine with its records, to which inputs are given one by one.

use crate::entity::{Entity, Outcome};
use crate::found::{Brought, Found};
use crate::machine::{Actor, Emit, Entry, Input, Machine, Step};
use crate::realm::Realm;
use crate::view::Stream;
use bytes::Bytes;
use levee_proto::attrs::UserAttrs;
use levee_proto::{Action, ErrorType, Id, Rejection, ids};
use serde_json::Value;
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
    next_action: u64,
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
            next_action: 0,
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
            session: Id::from("session-of-") + user,
            action_id,
            card: Arc::new(card.clone()),
            message_types: Arc::from(["ninchat.com/*".into()]),
            origin: self.origin.clone(),
            found: Some(Found::Brought(Box::new(Brought {
                secret: Some(self.secret()),
                peer: header["user_id"].as_str().map(|peer| (peer.into(), Arc::new(card))),
                ..self.brought.clone()
            }))),
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
        let absorbed = input.clone();
        match self.entity.decide(&at, input)? {
            Outcome::Repeated(_) => Ok(Step::nothing()),
            Outcome::Step(step) => {
                for record in &step.records {
                    // What is stored must be read as it was written.
                    let text = serde_json::to_vec(record).expect("it can be written");
                    let read: Entry<M::Record> = serde_json::from_slice(&text).expect("it can be read");
                    self.entity.apply(self.now, &read);
                }
                self.entity.machine.absorb(&absorbed);
                Ok(step)
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
    step.emits
        .iter()
        .filter_map(|emit| match emit {
            Emit::Forward(to, order) => {
                let name = order.as_object().and_then(|object| object.keys().next().cloned());
                Some((to.clone(), name.unwrap_or_default()))
            }
            _ => None,
        })
        .collect()
}
