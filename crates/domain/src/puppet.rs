//! What a master sets of a puppet. It is shown to the members of what is the master's.

use levee_proto::attrs::PuppetAttrs;
use levee_proto::{Id, Object};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whose a puppet is, and what is set of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Puppet {
    /// The master.
    pub master: Id,
    /// What the master has set.
    pub attrs: PuppetAttrs,
}

impl Puppet {
    /// What is shown of somebody, if they are a puppet, in something of this owner's.
    pub fn shown(of: Option<&Self>, owner: Option<&Id>) -> Option<Self> {
        of.filter(|puppet| owner == Some(&puppet.master)).cloned()
    }

    /// The puppet's masters, as events have them.
    pub fn masters(&self) -> Object {
        Object::from_iter([(self.master.to_string(), json!({"puppet_attrs": self.attrs}))])
    }

    /// Somebody among members, as events have them.
    pub(crate) fn beside(of: Option<&Self>, mut member: Value) -> Value {
        if let Some(puppet) = of {
            member["puppet_attrs"] = json!(puppet.attrs);
        }
        member
    }
}
