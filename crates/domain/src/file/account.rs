//! What a file counts for in its owner's account: its bytes, as long as they are kept. Icons don't count.

use super::{File, FileRecord};
use crate::account::{AccountOrder, Thing};
use crate::machine::{Machine, Moment, Step};
use levee_proto::Id;

impl File {
    /// In whose account it counts, and for how many bytes; before all are here, for those that were said.
    fn counts(&self) -> Option<(&Id, u64)> {
        let begun = self.begun.as_ref().filter(|begun| self.exists() && !begun.icon)?;
        Some((&begun.owner, self.content.as_ref().map_or(begun.size, |content| content.size)))
    }

    /// Tells the owner what the file counts for, if the records of a step change that.
    pub(super) fn tell_account(&self, at: &Moment<'_>, mut step: Step<FileRecord>) -> Step<FileRecord> {
        if step.records.is_empty() {
            return step;
        }
        let after = self.after(&step.records.iter().collect::<Vec<_>>());
        let (id, seq) = (at.id.clone(), at.seq + step.records.len() as u64);
        let told = match (self.counts(), after.counts()) {
            (before, after) if before == after => None,
            (_, Some((owner, size))) => {
                let owned = AccountOrder::Owned { thing: Thing::Uploads, id, seq, size: Some(size) };
                Some(owned.forward(owner))
            }
            (Some((owner, _)), None) => Some(AccountOrder::Gone { ids: vec![id], seq }.forward(owner)),
            (None, None) => None,
        };
        step.emits.extend(told);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Emit, Entry};
    use crate::table::{ID, Table};
    use crate::view::Stream;
    use serde_json::{Value, json};

    /// What the owner's account is told by a step.
    fn told(step: &Step<Entry<FileRecord>>) -> Vec<Value> {
        let orders = step.emits.iter().filter_map(|emit| match emit {
            Emit::Forward(to, order) if *to == Stream::user(&"ann".into()) => order.get("Account").cloned(),
            _ => None,
        });
        orders.collect()
    }

    fn owned(size: u64, seq: u64) -> Value {
        json!({"Owned": {"thing": "uploads", "id": ID, "seq": seq, "size": size}})
    }

    fn begun(icon: bool, size: u64, key: &str) -> Value {
        json!({"owner": "ann", "conversation": "00c", "icon": icon, "name": "a", "size": size,
            "blob": {"key": key, "upload": "handle"}, "expires": 1_000_000_000})
    }

    #[test]
    fn a_file_counts_from_its_beginning_to_its_end() {
        let mut table: Table<File> = Table::new();
        let mut order = |order: Value| told(&table.order(order).unwrap());
        assert_eq!(order(json!({"Begin": begun(false, 3, "k")})), [owned(3, 1)]);
        assert_eq!(order(json!({"Begin": begun(false, 3, "k")})), [Value::Null; 0], "a retry");
        assert_eq!(order(json!({"Begin": begun(false, 4, "l")})), [owned(4, 2)], "other bytes");
        let content = json!({"size": 4, "sha256": "abc", "type": "text/plain"});
        assert_eq!(order(json!({"Complete": {"key": "l", "content": content}})), [Value::Null; 0]);
        assert_eq!(order(json!("Posted")), [Value::Null; 0]);
        assert_eq!(order(json!("Remove")), [json!({"Gone": {"ids": [ID], "seq": 5}})]);
        assert_eq!(order(json!("Remove")), [Value::Null; 0]);
    }

    #[test]
    fn one_that_comes_in_parts_counts_for_what_was_said_of_it() {
        let mut table: Table<File> = Table::new();
        let mut order = |order: Value| told(&table.order(order).unwrap());
        let terms = json!({"length": null, "part": 10, "patience": 1_000_000});
        assert_eq!(
            order(json!({"Parts": {"Start": {"begun": begun(false, 0, "k"), "terms": terms}}})),
            [owned(0, 1)]
        );
        let write = json!({"Parts": {"Write": {"turn": "t", "from": 0, "length": 7}}});
        assert_eq!(order(write), [owned(7, 2)]);
        let end = json!({"Parts": {"End": {"ended": "cancelled"}}});
        assert_eq!(order(end), [json!({"Gone": {"ids": [ID], "seq": 3}})]);
    }

    #[test]
    fn icons_dont_count() {
        let mut table: Table<File> = Table::new();
        assert_eq!(told(&table.order(json!({"Begin": begun(true, 3, "k")})).unwrap()), [Value::Null; 0]);
        assert_eq!(told(&table.order(json!("Remove")).unwrap()), [Value::Null; 0]);
    }
}
