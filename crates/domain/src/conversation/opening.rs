//! What a queue orders of a conversation that is to be an audience's.

use super::Prelude;
use super::records::Request;
use crate::machine::Command;
use crate::puppet::Puppet;
use crate::queue::stats::Share;
use levee_proto::attrs::{ChannelAttrs, ChannelMemberAttrs, UserAttrs};
use levee_proto::{Id, Object};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How an audience opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The realm.
    pub(super) realm: Option<Id>,
    /// Attributes.
    pub(super) attrs: ChannelAttrs,
    /// Members: user, card, membership attributes.
    pub(super) members: Vec<(Id, UserAttrs, ChannelMemberAttrs)>,
    /// What the customer said when asking.
    pub(super) metadata: Option<Object>,
    /// The command that caused it.
    pub(super) command: Option<Command>,
    /// The queue's record by which the audience was accepted: what comes twice is told by it.
    #[serde(default)]
    pub(super) accepted: u64,
    /// Where the customer was transferred from.
    #[serde(default)]
    pub(super) source: Option<Object>,
    /// What it counts for.
    #[serde(default)]
    pub(super) share: Option<Share>,
    /// Who made it without a customer, and the command that is answered.
    #[serde(default)]
    pub(super) made: Option<(Id, Command)>,
    /// How it was asked for.
    #[serde(default)]
    pub(super) request: Option<Request>,
    /// What it begins with.
    #[serde(default)]
    pub(super) prelude: Option<Prelude>,
    /// The masters who speak for those of the members who are puppets.
    #[serde(default)]
    pub(super) masters: BTreeMap<Id, Id>,
    /// Those of the members who are puppets of the realm's owner.
    #[serde(default)]
    pub(super) puppets: BTreeMap<Id, Puppet>,
    /// Whether the realm has webhooks.
    #[serde(default)]
    pub(super) hooks: bool,
}

impl Opening {
    /// The realm, if what webhooks want of it has to be looked at.
    pub(super) fn realm_of_hooks(&self) -> Option<&Id> {
        self.realm.as_ref().filter(|_| self.hooks)
    }
}
