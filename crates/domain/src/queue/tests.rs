use super::*;
use crate::machine::Due;
use crate::realm::RealmMember;
use crate::table::{ID, Table, forwards, refused};
use levee_proto::attrs::{RealmAttrs, RealmMemberAttrs};

pub(super) const REALM: &str = "00rrrrrrrrrrrrrrrr";

/// A queue of a realm whose owner is `owner`, served by `agent`.
pub(super) fn queue() -> Table<Queue> {
    let mut table = Table::new();
    let mut realm = crate::realm::Realm {
        attrs: RealmAttrs { owner_id: Some("owner".into()), ..RealmAttrs::default() },
        ..Default::default()
    };
    for user in ["owner", "agent", "other"] {
        let attrs = RealmMemberAttrs { operator: (user == "owner").then_some(true) };
        realm.members.insert(user.into(), RealmMember { attrs, ..RealmMember::default() });
    }
    table.realm = Some(realm);
    table
        .order(json!({"Create": {"realm": REALM, "attrs": {"name": "Q"}, "by": "owner", "command": null}}))
        .unwrap();
    table.act("owner", "add_member", json!({"queue_id": ID, "user_id": "agent"}), &[]).unwrap();
    table.act("owner", "add_member", json!({"queue_id": ID, "user_id": "other"}), &[]).unwrap();
    table
}

pub(super) fn request(table: &mut Table<Queue>, user: &str) -> crate::table::Given<Queue> {
    table.act(user, "request_audience", json!({"queue_id": ID}), &[])
}

pub(super) fn accept(
    table: &mut Table<Queue>,
    user: &str,
    audience: Option<&str>,
) -> crate::table::Given<Queue> {
    table.act(user, "accept_audience", json!({"queue_id": ID, "audience_id": audience}), &[])
}

fn accepted(step: &Step<Entry<QueueRecord>>) -> Option<Id> {
    step.records.iter().find_map(|entry| match &entry.record {
        QueueRecord::Accepted { audience, .. } => Some(audience.clone()),
        _ => None,
    })
}

#[test]
fn customers_wait_in_the_order_of_their_requests() {
    let mut table = queue();
    for user in ["a", "b", "c"] {
        let step = request(&mut table, user).unwrap();
        assert_eq!(forwards(&step), [(Stream::user(&user.into()), "Waits".into())]);
    }
    let queue = &table.entity.machine;
    assert_eq!(
        ["a", "b", "c", "d"].map(|user| queue.position(&user.into())),
        [Some(1), Some(2), Some(3), None]
    );
}

#[test]
fn accepting_takes_the_first_or_a_certain_one_and_each_only_once() {
    let mut table = queue();
    request(&mut table, "a").unwrap();
    request(&mut table, "b").unwrap();
    let second = table.entity.machine.waiting[1].audience.clone();
    let step = accept(&mut table, "agent", Some(&second)).unwrap();
    assert_eq!(accepted(&step), Some(second.clone()));
    let names: Vec<_> = forwards(&step).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["Open", "WaitsNot"]);
    let first = step.emits.iter().find_map(|emit| match emit {
        Emit::ForwardAfter(_, _, first) => Some(first),
        _ => None,
    });
    assert_eq!(
        first,
        Some(&Stream::user(&"b".into())),
        "the customer hears of their place before the channel opens"
    );
    assert_eq!(refused(accept(&mut table, "other", Some(&second))), Some(ErrorType::AudienceNotFound));
    assert!(accepted(&accept(&mut table, "other", None).unwrap()).is_some());
    assert_eq!(refused(accept(&mut table, "agent", None)), Some(ErrorType::QueueIsEmpty));
}

#[test]
fn a_repeated_command_takes_nobody_else() {
    let mut table = queue();
    request(&mut table, "a").unwrap();
    request(&mut table, "b").unwrap();
    let accept = json!({"queue_id": ID});
    let once = table.act_as("agent", Some(77), "accept_audience", accept.clone(), &[]).unwrap();
    assert!(accepted(&once).is_some());
    let twice = table.act_as("agent", Some(77), "accept_audience", accept, &[]).unwrap();
    assert_eq!(accepted(&twice), None);
    assert_eq!(table.entity.machine.waiting.len(), 1);
}

#[test]
fn only_members_accept_and_nobody_accepts_themselves() {
    let mut table = queue();
    request(&mut table, "a").unwrap();
    for user in ["a", "owner", "stranger"] {
        assert_eq!(refused(accept(&mut table, user, None)), Some(ErrorType::PermissionDenied), "{user}");
    }
    request(&mut table, "agent").unwrap();
    let own = table.entity.machine.waiting[1].audience.clone();
    assert_eq!(refused(accept(&mut table, "agent", Some(&own))), Some(ErrorType::PermissionDenied));
}

#[test]
fn a_queue_that_is_closed_full_or_suspended_takes_nobody() {
    for (attrs, error) in [
        (json!({"closed": true}), ErrorType::QueueIsClosed),
        (json!({"suspended": true}), ErrorType::QueueIsSuspended),
        (json!({"capacity": 1}), ErrorType::QueueIsFull),
    ] {
        let mut table = queue();
        request(&mut table, "a").unwrap();
        table.act("owner", "update_queue", json!({"queue_id": ID, "queue_attrs": attrs}), &[]).unwrap();
        assert_eq!(refused(request(&mut table, "b")), Some(error));
    }
}

#[test]
fn nobody_waits_twice_and_nobody_forges_secure_metadata() {
    let mut table = queue();
    request(&mut table, "a").unwrap();
    assert_eq!(refused(request(&mut table, "a")), Some(ErrorType::PermissionDenied));
    let forged = json!({"queue_id": ID, "audience_metadata": {"secure": {"name": "me"}}});
    assert!(table.act("b", "request_audience", forged, &[]).is_err());
}

#[test]
fn who_leaves_is_dropped_and_the_others_move_up() {
    let mut table = queue();
    request(&mut table, "a").unwrap();
    request(&mut table, "b").unwrap();
    let first = table.entity.machine.waiting[0].audience.clone();
    let order = json!({"Drop": {"audience": first, "cause": "audience_drop"}});
    assert_eq!(table.order(order.clone()).unwrap().records.len(), 1);
    assert_eq!(table.entity.machine.position(&"b".into()), Some(1));
    assert!(table.order(order).unwrap().records.is_empty(), "an order may arrive twice");
}

#[test]
fn what_a_queue_is_can_be_changed_by_those_who_may() {
    let change = |attrs: serde_json::Value| json!({"queue_id": ID, "queue_attrs": attrs});
    let mut table = queue();
    assert!(table.act("agent", "update_queue", change(json!({"closed": true})), &[]).is_ok());
    for (user, attrs) in [
        ("agent", json!({"suspended": true})),
        ("owner", json!({"length": 5})),
        ("stranger", json!({"closed": null})),
    ] {
        let refusal = refused(table.act(user, "update_queue", change(attrs.clone()), &[]));
        assert_eq!(refusal, Some(ErrorType::PermissionDenied), "{user} {attrs}");
    }
    assert!(table.act("agent", "update_queue", change(json!({"closed": null})), &[]).is_ok());
    assert_eq!(table.entity.machine.attrs.closed, None);
}

#[test]
fn outsiders_see_neither_who_waits_nor_privileged_attributes() {
    let mut table = queue();
    table
        .act(
            "owner",
            "update_queue",
            json!({"queue_id": ID, "queue_attrs": {"ninchat_metadata": ["geoip"]}}),
            &[],
        )
        .unwrap();
    request(&mut table, "a").unwrap();
    let id = Id::from(ID);
    let at = table.entity.moment(table.now, &id, table.realm.as_ref());
    let outside = table.entity.machine.found(&at, &"a".into());
    assert_eq!((outside.queue_position, outside.levee_waiting, outside.queue_members), (Some(1), None, None));
    assert_eq!(outside.queue_attrs.ninchat_metadata, None);
    let inside = table.entity.machine.found(&at, &"agent".into());
    assert_eq!(inside.levee_waiting.map(|waiting| waiting.len()), Some(1));
    assert!(inside.queue_time.is_some() && inside.queue_attrs.ninchat_metadata.is_some());
}

#[test]
fn a_deleted_queue_lets_everybody_go() {
    let mut table = queue();
    request(&mut table, "a").unwrap();
    let step = table.act("owner", "delete_queue", json!({"queue_id": ID}), &[]).unwrap();
    let names: Vec<_> = forwards(&step).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["QueueParted", "QueueParted", "WaitsNot", "QueueDeleted"]);
    assert_eq!(refused(request(&mut table, "b")), Some(ErrorType::QueueNotFound));
}

#[test]
fn a_queue_whose_realm_is_gone_lets_everybody_go_once_and_is_not_made_again() {
    let mut table = queue();
    request(&mut table, "a").unwrap();
    let step = table.order(json!("RealmGone")).unwrap();
    let names: Vec<_> = forwards(&step).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["QueueParted", "QueueParted", "WaitsNot"]);
    assert_eq!(refused(request(&mut table, "b")), Some(ErrorType::QueueNotFound));
    let again = json!({"Create": {"realm": REALM, "attrs": {}, "by": "owner", "command": null}});
    for order in [json!("RealmGone"), again] {
        let step = table.order(order).unwrap();
        assert!(step.records.is_empty() && step.emits.is_empty());
    }
}

fn come_back(table: &mut Table<Queue>, audience: &Id, seq: u64) -> Step<Entry<QueueRecord>> {
    let waiter = json!({"audience": audience, "user": "a", "card": {}, "since": 1, "metadata": null});
    table.order(json!({"Return": {"waiter": waiter, "conversation": "00c", "seq": seq}})).unwrap()
}

#[test]
fn a_customer_who_comes_back_is_first_whatever_the_limits_and_once() {
    let mut table = queue();
    for user in ["a", "b"] {
        request(&mut table, user).unwrap();
    }
    let audience = accepted(&accept(&mut table, "agent", None).unwrap()).unwrap();
    let attrs = json!({"queue_id": ID, "queue_attrs": {"closed": true, "capacity": 1}});
    table.act("owner", "update_queue", attrs, &[]).unwrap();
    let step = come_back(&mut table, &audience, 7);
    assert_eq!(forwards(&step), [(Stream::user(&"a".into()), "Waits".into())]);
    let waiting = |table: &Table<Queue>| {
        table.entity.machine.waiting.iter().map(|waiter| waiter.user.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(waiting(&table), ["a", "b"]);
    assert!(come_back(&mut table, &audience, 7).records.is_empty());
    // Taken again, a copy of the order does not bring them back; a new one does.
    assert_eq!(accepted(&accept(&mut table, "other", None).unwrap()), Some(audience.clone()));
    assert!(come_back(&mut table, &audience, 7).records.is_empty());
    assert_eq!(waiting(&table), ["b"]);
    come_back(&mut table, &audience, 12);
    assert_eq!(waiting(&table), ["a", "b"]);
}

#[test]
fn nobody_comes_back_to_a_queue_that_is_gone() {
    let mut table = queue();
    table.act("owner", "delete_queue", json!({"queue_id": ID}), &[]).unwrap();
    let step = come_back(&mut table, &"00x".into(), 7);
    assert!(step.records.is_empty());
    let gone = Emit::Forward(Stream::conversation(&"00c".into()), json!("QueueGone"));
    assert_eq!(step.emits, [gone]);
}

/// A minute of a day in UTC, as a schedule writes it.
fn clock(minute: u64) -> String {
    format!("{}:{:02}", minute / 60, minute % 60)
}

/// Open from one minute of every day to another.
fn daily(from: u64, until: u64) -> serde_json::Value {
    json!({"timezone": "UTC", "week": vec![json!([clock(from), clock(until)]); 7]})
}

fn alarm(step: &Step<Entry<QueueRecord>>) -> Option<u64> {
    step.emits.iter().find_map(|emit| match emit {
        Emit::Wait(Timer::Schedule, Due::At(time)) => Some(*time),
        _ => None,
    })
}

#[test]
fn a_queue_opens_and_closes_by_its_schedule_and_at_once_if_it_is_late() {
    const MINUTE: u64 = 60_000_000;
    let mut table = queue();
    table.now = 100 * 24 * 60 * MINUTE + 600 * MINUTE;
    let set = |table: &mut Table<Queue>, schedule: serde_json::Value| {
        let attrs = json!({"queue_id": ID, "queue_attrs": {"schedule": schedule}});
        table.act("agent", "update_queue", attrs, &[])
    };
    table
        .act("agent", "update_queue", json!({"queue_id": ID, "queue_attrs": {"closed": true}}), &[])
        .unwrap();
    // It should have been open for an hour.
    let step = set(&mut table, daily(540, 660)).unwrap();
    assert_eq!(table.entity.machine.attrs.closed, None);
    let closes = alarm(&step).unwrap();
    assert_eq!(closes % (24 * 60 * MINUTE), 660 * MINUTE);
    // The timer rings.
    table.now = closes;
    let step = table.order(json!("Hours")).unwrap();
    assert_eq!(table.entity.machine.attrs.closed, Some(true));
    let cause = |step: &Step<Entry<QueueRecord>>| match step.records.first().map(|entry| entry.record.clone())
    {
        Some(QueueRecord::Changed { cause, .. }) => cause,
        _ => None,
    };
    assert_eq!(cause(&step).as_deref(), Some("queue_schedule"));
    assert_eq!(alarm(&step).unwrap() - closes, (24 * 60 - 120) * MINUTE);
    // Once more, it is as it should be: only the timer is set.
    assert!(table.order(json!("Hours")).unwrap().records.is_empty());
    // Without a schedule it stays as it is, and nothing rings.
    let step = set(&mut table, json!(null)).unwrap();
    assert!(step.emits.contains(&Emit::Unwait(Timer::Schedule)));
    assert_eq!(table.entity.machine.attrs.closed, Some(true));
    // One that makes no sense changes nothing.
    let wrong = json!({"timezone": "Mars/Olympus", "week": []});
    assert_eq!(refused(set(&mut table, wrong)), Some(ErrorType::RequestMalformed));
}

#[test]
fn who_leaves_the_realm_by_themselves_is_not_said_to_be_removed_from_its_queues() {
    for (order, removed) in [
        (json!({"user": "agent", "removed": false}), false),
        (json!({"user": "agent", "removed": true}), true),
        (json!({"user": "agent"}), true),
    ] {
        let step = queue().order(json!({"MemberGone": order})).unwrap();
        let views = Queue::views(&ID.into(), 1, 0, &step.records[0]);
        let bodies: Vec<_> = views.iter().filter_map(|view| view.body.as_ref()).collect();
        assert_eq!(bodies.len(), 2);
        assert!(bodies.iter().all(|body| body.header().contains("member_remove") == removed), "{order}");
    }
}
