//! Finding a realm's members and channels.

use super::{Decision, Realm};
use crate::machine::{Answer, Emit, Moment, Step};
use crate::rights::Right;
use crate::search::{FOUND, Results, Search};
use levee_proto::Id;
use serde_json::json;

impl Realm {
    /// What a member finds. To those outside, the realm is not there.
    pub(super) fn search(&self, at: &Moment<'_>, user: &Id, search: &Search) -> Decision {
        self.allow(at, self.standing(user), Right::SeeRealm)?;
        let mut found = Results::default();
        if search.users {
            let shown = self
                .members
                .iter()
                .filter_map(|(id, member)| Some((id.to_string(), search.user(&member.user)?)));
            found.users.extend(shown.take(FOUND));
        }
        let rows = at.past.map(|past| past.rows.as_slice()).unwrap_or_default();
        found.channels.extend(rows.iter().filter_map(|(_, row)| search.channel(row)));
        Ok(Step::emit(Emit::Answer(Answer::Value(json!(found)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realm::RealmMember;
    use crate::search::row;
    use crate::table::{ID, Table, refused};
    use levee_proto::ErrorType;
    use levee_proto::attrs::{ChannelAttrs, RealmAttrs, UserAttrs};
    use serde_json::Value;

    /// A realm with its owner and many members, one of whom has a real name, and with one channel.
    fn realm() -> Table<Realm> {
        let mut table = Table::<Realm>::new();
        let card = |name: &str, realname: Option<&str>| UserAttrs {
            name: Some(name.into()),
            realname: realname.map(Into::into),
            connected: Some(true),
            ..UserAttrs::default()
        };
        let member = |user: UserAttrs| RealmMember { user, ..RealmMember::default() };
        let machine = &mut table.entity.machine;
        machine.attrs = RealmAttrs { owner_id: Some("owner".into()), ..RealmAttrs::default() };
        machine.members.insert("owner".into(), member(card("Olga", None)));
        machine.members.insert("ann".into(), member(card("Annie", Some("Zoe Zimmer"))));
        for number in 0..FOUND {
            let (id, user) = (format!("many{number:03}").into(), card("Many", None));
            machine.members.insert(id, member(user));
        }
        let attrs = ChannelAttrs { name: Some("Zoology".into()), ..ChannelAttrs::default() };
        let (key, value) = row(&"00c".into(), Some(&ID.into()), &attrs).unwrap();
        table.rows.insert((crate::search::CHANNELS, key), value);
        let (key, value) = row(&"00d".into(), Some(&"00other".into()), &attrs).unwrap();
        table.rows.insert((crate::search::CHANNELS, key), value);
        table
    }

    fn search(table: &mut Table<Realm>, user: &str, term: &str) -> Result<Results, levee_proto::Rejection> {
        let order = json!({"Search": {"user": user, "search": Search::new(term, true, true)?}});
        let step = table.order(order)?;
        let [Emit::Answer(Answer::Value(found))] = &step.emits[..] else { panic!("{step:?}") };
        Ok(serde_json::from_value(found.clone()).unwrap())
    }

    #[test]
    fn members_find_members_and_channels_by_the_beginning_of_their_names() {
        let mut table = realm();
        let found = search(&mut table, "ann", "zo").unwrap();
        assert_eq!(found.users.keys().collect::<Vec<_>>(), ["ann"], "by the real name");
        assert_eq!(found.users["ann"]["user_attrs"]["name"], "Annie");
        assert_eq!(found.users["ann"]["user_attrs"]["connected"], Value::Null);
        assert_eq!(found.channels.keys().collect::<Vec<_>>(), ["00c"], "not one of another realm");
        assert_eq!(found.channels["00c"]["realm_id"], ID);
        assert_eq!(search(&mut table, "owner", "oo").unwrap(), Results::default());
        assert_eq!(search(&mut table, "ann", "many").unwrap().users.len(), FOUND);
    }

    #[test]
    fn to_those_outside_the_realm_is_not_there() {
        let mut table = realm();
        assert_eq!(refused(search(&mut table, "stranger", "zo")), Some(ErrorType::RealmNotFound));
        assert_eq!(refused(search(&mut Table::new(), "ann", "zo")), Some(ErrorType::RealmNotFound));
    }

    #[test]
    fn who_is_called_otherwise_now_is_found_by_that() {
        let mut table = realm();
        let order = json!({"UserChanged": {"user": "ann", "attrs": {"name": "Bea"}}});
        assert_eq!(table.order(order.clone()).unwrap().records.len(), 1);
        assert!(table.order(order).unwrap().records.is_empty(), "an order may arrive twice");
        assert!(search(&mut table, "owner", "ann").unwrap().users.is_empty());
        assert_eq!(search(&mut table, "owner", "be").unwrap().users.len(), 1);
        let stranger = json!({"UserChanged": {"user": "stranger", "attrs": {"name": "Bea"}}});
        assert!(table.order(stranger).unwrap().records.is_empty());
    }
}
