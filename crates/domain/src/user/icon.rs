//! A user's icon: a small square picture that everybody may see, which is a file of the user's.

use super::User;
use super::records::UserRecord;
use crate::found::Found;
use crate::machine::{Actor, Emit, Moment, Step};
use crate::view::Stream;
use levee_proto::actions::user::UpdateUser;
use levee_proto::{ErrorType, Id, Rejection, Text};
use serde_json::json;

impl User {
    /// The icon that an action brings, with its address.
    pub(super) fn new_icon(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        update: &UpdateUser,
    ) -> Result<Option<(Id, Text)>, Rejection> {
        if update.payload_attrs.as_ref().is_none_or(Vec::is_empty) {
            return Ok(None);
        }
        match &actor.found {
            Some(Found::Icon(file, url)) if file.icon && file.owner == *at.id && at.now < file.expires => {
                Ok(Some((file.file.clone(), url.clone())))
            }
            Some(Found::Refused(rejection)) => Err((**rejection).clone()),
            _ => Err(Rejection::new(ErrorType::Internal).because("the icon was not taken in")),
        }
    }

    /// Tells files what becomes of them: the new icon, and the one before.
    pub(super) fn with_icon(&self, mut step: Step<UserRecord>) -> Step<UserRecord> {
        let mut now = self.icon.as_ref();
        for record in &step.records {
            match record {
                UserRecord::Changed { icon, .. } => now = icon.as_ref(),
                UserRecord::Deleted { .. } => now = None,
                _ => {}
            }
        }
        let orders = [(now, "Posted"), (self.icon.as_ref(), "Remove")];
        if now != self.icon.as_ref() {
            let told = orders.into_iter().filter_map(|(file, order)| Some((file?, order)));
            let forwards = told.map(|(file, order)| Emit::Forward(Stream::file(file), json!(order)));
            step.emits.extend(forwards.collect::<Vec<_>>());
        }
        step
    }

    /// Tells a file whether it is the icon: one that is not came to nothing.
    pub(super) fn has_file(&self, file: &Id) -> Step<UserRecord> {
        let order = if self.icon.as_ref() == Some(file) { "Posted" } else { "Remove" };
        Step::emit(Emit::Forward(Stream::file(file), json!(order)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{Content, Described};
    use crate::machine::Entry;
    use crate::table::{Given, ID, Table, refused};
    use serde_json::Value;

    const EXPIRES: u64 = 1_000_000_000;

    fn user() -> Table<User> {
        let mut table = Table::new();
        let new = json!({"attrs": {"name": "Ann", "guest": false}, "settings": {}, "identity": null});
        table.order(json!({"Create": {"new": new}})).unwrap();
        table
    }

    fn brings(table: &mut Table<User>, file: &str, owner: &str) {
        let described = Described {
            file: file.into(),
            owner: owner.into(),
            conversation: owner.into(),
            icon: true,
            name: "icon".into(),
            key: "k".into(),
            expires: EXPIRES,
            content: Content {
                size: 3,
                sha256: "abc".into(),
                media_type: "image/png".into(),
                thumbnail: None,
            },
        };
        table.found = Some(Found::Icon(Box::new(described), Text::from("/icons/") + file));
    }

    fn update(table: &mut Table<User>, header: Value) -> Given<User> {
        table.act(ID, "update_user", header, &[])
    }

    fn told(step: &Step<Entry<UserRecord>>) -> Vec<(String, Value)> {
        let told = step.emits.iter().filter_map(|emit| match emit {
            Emit::Forward(to, order) if *to == Stream::file(&to.id) => {
                Some((to.id.to_string(), order.clone()))
            }
            _ => None,
        });
        told.collect()
    }

    #[test]
    fn an_icon_takes_the_place_of_the_one_before_until_it_is_unset() {
        let mut table = user();
        brings(&mut table, "00f", ID);
        let step = update(&mut table, json!({"payload_attrs": ["icon"]})).unwrap();
        assert_eq!(told(&step), [("00f".into(), json!("Posted"))]);
        assert_eq!(table.entity.machine.attrs.iconurl.as_deref(), Some("/icons/00f"));
        brings(&mut table, "00g", ID);
        let header = json!({"payload_attrs": ["icon"], "user_attrs": {"name": "Eve"}});
        let step = update(&mut table, header).unwrap();
        assert_eq!(told(&step), [("00g".into(), json!("Posted")), ("00f".into(), json!("Remove"))]);
        assert_eq!(table.entity.machine.attrs.name.as_deref(), Some("Eve"));
        for (file, order) in [("00f", "Remove"), ("00g", "Posted")] {
            let step = table.order(json!({"HasFile": {"file": file}})).unwrap();
            assert_eq!(told(&step), [(file.into(), json!(order))]);
        }
        table.found = None;
        let step = update(&mut table, json!({"user_attrs": {"name": "Ann"}})).unwrap();
        assert_eq!(told(&step), [], "it stays");
        let step = update(&mut table, json!({"user_attrs": {"iconurl": null}})).unwrap();
        assert_eq!(told(&step), [("00g".into(), json!("Remove"))]);
        assert_eq!(table.entity.machine.attrs.iconurl, None);
        assert_eq!(table.replayed().machine, table.entity.machine);
    }

    #[test]
    fn an_icon_goes_with_its_user() {
        let mut table = user();
        brings(&mut table, "00f", ID);
        update(&mut table, json!({"payload_attrs": ["icon"], "user_attrs": {"guest": null}})).unwrap();
        let step = table.entity.machine.with_icon(Step::record(UserRecord::Deleted { user: ID.into() }));
        assert!(step.emits.contains(&Emit::Forward(Stream::file(&"00f".into()), json!("Remove"))));
    }

    #[test]
    fn what_is_no_icon_of_the_users_is_none() {
        let mut table = user();
        let bring = json!({"payload_attrs": ["icon"]});
        assert_eq!(refused(update(&mut table, bring.clone())), Some(ErrorType::Internal));
        brings(&mut table, "00f", "somebody");
        assert_eq!(refused(update(&mut table, bring.clone())), Some(ErrorType::Internal));
        brings(&mut table, "00f", ID);
        table.now = EXPIRES;
        assert_eq!(refused(update(&mut table, bring.clone())), Some(ErrorType::Internal));
        let refusal = Rejection::new(ErrorType::FileNotSupported);
        table.found = Some(Found::Refused(Box::new(refusal)));
        assert_eq!(refused(update(&mut table, bring)), Some(ErrorType::FileNotSupported));
        table.found = None;
        let set = json!({"user_attrs": {"iconurl": "https://elsewhere.example/x.png"}});
        assert_eq!(refused(update(&mut table, set)), Some(ErrorType::PermissionDenied));
        assert_eq!(table.entity.machine.icon, None);
    }
}
