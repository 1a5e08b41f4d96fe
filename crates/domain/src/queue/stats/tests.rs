use super::*;
use crate::conversation::{Conversation, ConversationRecord};
use crate::machine::{Answer, Emit, Entry, Machine, Step};
use crate::queue::tests::queue;
use crate::queue::{Queue, QueueRecord, STATS};
use crate::table::{ID, Table, refused};
use crate::view::{Kind, Stream};
use levee_proto::ErrorType;
use proptest::prelude::*;
use std::collections::HashMap;

const MINUTE: u64 = 60_000_000;

/// A conversation and all its records.
type Channel = (Table<Conversation>, Vec<(u64, ConversationRecord)>);

/// What a group is counted to: accepted, how long each took that ended, ratings.
type Counted = (u64, Vec<u64>, BTreeMap<i64, u64>);

/// A queue and its conversations, between which forwards arrive, some of them twice; and all their records.
struct World {
    queue: Table<Queue>,
    records: Vec<(u64, QueueRecord)>,
    channels: BTreeMap<Id, Channel>,
    now: u64,
}

impl World {
    fn new() -> Self {
        Self { queue: queue(), records: Vec::new(), channels: BTreeMap::new(), now: 20_000 * 24 * HOUR }
    }

    fn took_place(&mut self, step: Step<Entry<QueueRecord>>, twice: bool) {
        let time = self.queue.entity.time;
        self.records.extend(step.records.into_iter().map(|entry| (time, entry.record)));
        for emit in step.emits {
            let Some((to, order)) = emit.forwarded() else { continue };
            if to.kind == Kind::Conversation {
                for _ in 0..1 + usize::from(twice) {
                    self.order_channel(&to.id, order.clone(), twice);
                }
            }
        }
    }

    fn order_channel(&mut self, id: &Id, order: Value, twice: bool) {
        let (table, records) = self.channels.entry(id.clone()).or_insert_with(|| {
            let mut table = Table::new();
            table.id = id.clone();
            (table, Vec::new())
        });
        table.now = self.now;
        let step = table.order(order).expect("an order");
        let time = table.entity.time;
        records.extend(step.records.iter().map(|entry| (time, entry.record.clone())));
        self.tell_queue(step, twice);
    }

    fn tell_queue(&mut self, step: Step<Entry<ConversationRecord>>, twice: bool) {
        for emit in step.emits {
            let Emit::Forward(Stream { kind: Kind::Queue, .. }, order) = emit else { continue };
            for _ in 0..1 + usize::from(twice) {
                self.queue.now = self.now;
                let step = self.queue.order(order.clone()).expect("an order");
                self.took_place(step, false);
            }
        }
    }

    fn act(&mut self, user: &str, name: &str, header: Value, twice: bool) {
        self.queue.now = self.now;
        if let Ok(step) = self.queue.act(user, name, header, &[]) {
            self.took_place(step, twice);
        }
    }

    /// Somebody does something in one of the channels.
    fn talk(&mut self, which: usize, user: &str, name: &str, header: Value, part: &str, twice: bool) {
        let Some(id) = self.channels.keys().nth(which % self.channels.len().max(1)).cloned() else { return };
        let (table, records) = self.channels.get_mut(&id).expect("a channel");
        table.now = self.now;
        let parts = if part.is_empty() { vec![] } else { vec![part] };
        let mut header = header;
        header["channel_id"] = json!(id);
        let Ok(step) = table.act(user, name, header, &parts) else { return };
        let time = table.entity.time;
        records.extend(step.records.iter().map(|entry| (time, entry.record.clone())));
        self.tell_queue(step, twice);
    }

    fn metadata(&mut self, which: usize, user: &str, data: Value, twice: bool) {
        let header = json!({"message_type": "ninchat.com/metadata", "message_fold": true});
        self.talk(which, user, "send_message", header, &json!({"data": data}).to_string(), twice);
    }

    /// What is answered for all hours: what is known and what is written down.
    fn shown(&self) -> Value {
        let mut hours = self.queue.entity.machine.stats.hours.clone();
        for (_, record) in &self.records {
            if let QueueRecord::Settled { hour, sums } = record {
                assert_eq!(Queue::columns(record).kind, STATS);
                hours.entry(*hour).or_default().merge(sums, 1);
            }
        }
        hours.into_iter().filter_map(|(number, hour)| Some((name(number)?, hour.shown()?))).collect()
    }

    /// The same, counted from nothing but what happened.
    fn recount(&self) -> Value {
        let mut all: BTreeMap<String, Recounted> = BTreeMap::new();
        let mut since: HashMap<Id, u64> = HashMap::new();
        let mut vars: HashMap<Id, Value> = HashMap::new();
        for (time, record) in &self.records {
            let hour = all.entry(name(time / HOUR).unwrap()).or_default();
            match record {
                QueueRecord::Requested { waiter } => {
                    hour.requests += 1;
                    since.insert(waiter.audience.clone(), waiter.since);
                    let said = waiter.metadata.as_ref().and_then(|metadata| metadata.get("vars"));
                    vars.insert(waiter.audience.clone(), said.cloned().unwrap_or_default());
                }
                QueueRecord::Returned { waiter, .. } => {
                    since.insert(waiter.audience.clone(), waiter.since);
                }
                QueueRecord::Accepted { audience, .. } => hour.waits.push(time - since[audience]),
                QueueRecord::Dropped { audience, .. } => hour.drops.push(time - since[audience]),
                QueueRecord::Visited { described, .. } => hour.described += described,
                _ => {}
            }
        }
        for (_, records) in self.channels.values() {
            for (at, (_, record)) in records.iter().enumerate() {
                if let ConversationRecord::Opened { share: Some(share), attrs, .. } = record {
                    let audience = attrs.audience_id.as_ref().unwrap();
                    let vars = vars.get(audience).cloned().unwrap_or_default();
                    recount_audience(&mut all, share, attrs.requester_id.as_ref(), &vars, &records[at..]);
                }
            }
        }
        all.into_iter().filter_map(|(hour, counted)| Some((hour, counted.shown()?))).collect()
    }
}

#[derive(Default)]
struct Recounted {
    described: u64,
    requests: u64,
    waits: Vec<u64>,
    drops: Vec<u64>,
    /// By agent, tags and variables.
    groups: BTreeMap<String, Counted>,
}

fn average(all: &[u64]) -> Option<f64> {
    (!all.is_empty()).then(|| seconds(all.iter().sum()) / all.len() as f64)
}

impl Recounted {
    fn shown(self) -> Option<Value> {
        let mut shown = json!({"describe_count": self.described, "request_count": self.requests,
            "drop_count": self.drops.len()});
        let empty = self.requests + self.described == 0
            && self.drops.is_empty()
            && self.groups.is_empty()
            && self.waits.is_empty();
        if empty {
            return None;
        }
        let groups: Vec<Value> = self
            .groups
            .into_iter()
            .map(|(key, (accepted, finished, ratings))| {
                let mut row: Value = serde_json::from_str(&key).unwrap();
                row["accept_count"] = json!(accepted);
                row["finish_count"] = json!(finished.len());
                if let Some(average) = average(&finished) {
                    row["finish_duration_avg"] = json!(average);
                }
                if !ratings.is_empty() {
                    row["ratings"] = json!(ratings);
                }
                row
            })
            .collect();
        if !groups.is_empty() {
            shown["audiences"] = json!(groups);
        }
        for (name, all) in [("accept_delay_avg", &self.waits), ("drop_delay_avg", &self.drops)] {
            if let Some(average) = average(all) {
                shown[name] = json!(average);
            }
        }
        Some(shown)
    }
}

/// Who accepted an audience and when is told by its first record, the rest by those after it.
fn recount_audience(
    all: &mut BTreeMap<String, Recounted>,
    share: &Share,
    customer: Option<&Id>,
    vars: &Value,
    records: &[(u64, ConversationRecord)],
) {
    let (mut finished, mut rating, mut tags) = (None, None, BTreeSet::new());
    for (time, record) in records {
        match record {
            ConversationRecord::Changed { attrs, .. }
                if attrs.closed.or(attrs.suspended).is_some() && finished.is_none() =>
            {
                finished = Some(*time);
            }
            ConversationRecord::Message(message) => {
                let Some((author, data)) = message.metadata() else { continue };
                if customer == Some(&author) {
                    rating = data.get("rating").map_or(rating, Value::as_i64);
                } else if let Some(Value::Array(set)) = data.get("tag_ids") {
                    tags = set.iter().map(|tag| tag.as_str().unwrap().to_owned()).collect();
                }
            }
            _ => {}
        }
    }
    let mut key = json!({"agent_id": share.agent});
    if !tags.is_empty() {
        key["tag_ids"] = json!(tags);
    }
    if vars.as_object().is_some_and(|vars| !vars.is_empty()) {
        key["vars"] = vars.clone();
    }
    let key = key.to_string();
    let mut group = |time: u64, change: &dyn Fn(&mut Counted)| {
        let hour = all.entry(name(time / HOUR).unwrap()).or_default();
        change(hour.groups.entry(key.clone()).or_default());
    };
    group(share.accepted, &|group| group.0 += 1);
    if let Some(time) = finished {
        group(time, &|group| {
            group.1.push(time - share.accepted);
            if let Some(rating) = rating {
                *group.2.entry(rating).or_default() += 1;
            }
        });
    }
}

/// The order of an answer's groups says nothing.
fn sorted(mut stats: Value) -> Value {
    for hour in stats.as_object_mut().unwrap().values_mut() {
        if let Some(Value::Array(groups)) = hour.get_mut("audiences") {
            groups.sort_by_key(Value::to_string);
        }
    }
    stats
}

/// One of many things that may happen.
fn happen(world: &mut World, (what, who, minutes, twice): (u8, u8, u16, bool)) {
    world.now += u64::from(minutes) * MINUTE / 4 + 1;
    let customer = ["a", "b", "c", "d"][usize::from(who % 4)];
    let agent = ["agent", "other"][usize::from(who % 2)];
    let which = usize::from(who);
    match what {
        0..=2 => {
            let metadata = match who % 3 {
                0 => json!({}),
                1 => json!({"vars": {"page": "/lamps"}}),
                _ => json!({"vars": {"page": customer, "b": "c"}}),
            };
            let wish = json!({"queue_id": ID, "audience_metadata": metadata});
            world.act(customer, "request_audience", wish, twice);
        }
        3..=5 => world.act(agent, "accept_audience", json!({"queue_id": ID}), twice),
        6 => {
            let Some(first) = world.queue.entity.machine.waiting.front().cloned() else { return };
            world.queue.now = world.now;
            let order = json!({"Drop": {"audience": first.audience, "cause": "audience_drop"}});
            let step = world.queue.order(order).unwrap();
            world.took_place(step, twice);
        }
        7 => {
            for user in ["agent", "other"] {
                let header = json!({"channel_attrs": {"closed": true}});
                world.talk(which, user, "update_channel", header, "", twice);
            }
        }
        8 => {
            for user in ["agent", "other"] {
                let tags = [json!([]), json!(["x"]), json!(["y", "x"])];
                world.metadata(which, user, json!({"tag_ids": tags[which % 3]}), twice);
            }
        }
        9 => {
            for user in ["a", "b", "c", "d"] {
                world.metadata(which, user, json!({"rating": i64::from(who % 3) - 1}), twice);
            }
        }
        10 => {
            for user in ["agent", "other", "a", "b", "c", "d"] {
                world.talk(which, user, "part_channel", json!({}), "", twice);
            }
        }
        11 => {
            world.queue.now = world.now;
            let visit = json!({"Visit": {"command": null, "described": true, "stage": null}});
            world.queue.order(visit).unwrap();
            let step = world.queue.order(json!("Count")).unwrap();
            world.took_place(step, twice);
        }
        _ => {
            let wish = json!({"queue_id": ID, "user_id": agent});
            world.act("agent", "create_audience", wish, twice);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_counted_as_it_happens_is_what_a_recount_of_the_records_finds(
        steps in prop::collection::vec((0u8..13, any::<u8>(), 0u16..1500, any::<bool>()), 1..120)
    ) {
        let mut world = World::new();
        for step in steps {
            happen(&mut world, step);
        }
        prop_assert_eq!(sorted(world.shown()), sorted(world.recount()));
        // What is kept can be read again.
        let text = serde_json::to_string(&world.queue.entity.machine).unwrap();
        let read: Queue = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read.stats, &world.queue.entity.machine.stats);
        // Only hours that may still change much are kept.
        let stats = &world.queue.entity.machine.stats;
        let oldest = stats.hours.keys().next().copied().unwrap_or(u64::MAX);
        let over = (world.queue.entity.time / HOUR).saturating_sub(KEPT);
        prop_assert!(oldest >= over || stats.hours.range(..over).count() <= 2, "{} < {}", oldest, over);
    }
}

fn answered(step: &Step<Entry<QueueRecord>>) -> Wanted {
    match &step.emits[..] {
        [Emit::Answer(Answer::Stats(wanted))] => wanted.clone(),
        other => panic!("{other:?}"),
    }
}

fn get(table: &mut Table<Queue>, user: &str, header: Value) -> crate::table::Given<Queue> {
    let mut header = header;
    header["queue_id"] = json!(ID);
    table.act(user, "get_queue_stats", header, &[])
}

#[test]
fn an_hour_is_asked_for_by_its_name_or_by_what_was_counted_last() {
    assert_eq!(name(379_908).as_deref(), Some("2013050412"));
    for hour in [0, 379_908, 500_000] {
        assert_eq!(number(&name(hour).unwrap()), Some(hour));
    }
    for wrong in ["", "2013", "20130230aa", "2013023012", "2013091824", "+013091812", "201309181200"] {
        assert_eq!(number(wrong), None, "{wrong}");
    }
    let mut table = queue();
    table.now = 379_908 * HOUR;
    table.act("a", "request_audience", json!({"queue_id": ID}), &[]).unwrap();
    table.now = 379_999 * HOUR;
    let wanted = answered(&get(&mut table, "agent", json!({"stats_length": 5})).unwrap());
    assert_eq!((wanted.from, wanted.until, wanted.through), (379_904, 379_909, table.entity.seq));
    let named = json!({"stats_length": 2, "stats_hour": "2013050412"});
    let wanted = answered(&get(&mut table, "owner", named).unwrap());
    assert_eq!((wanted.from, wanted.until), (379_908, 379_910));
    let body: Value = serde_json::from_str(wanted.answer().unwrap().header()).unwrap();
    assert_eq!(body["queue_stats"]["2013050412"]["request_count"], 1);
    assert_eq!(body["queue_stats"].as_object().unwrap().len(), 1);
    for wrong in [
        json!({"stats_length": 0}),
        json!({"stats_length": 745}),
        json!({"stats_length": 1, "stats_hour": "soon"}),
        json!({"stats_length": -1}),
        json!({}),
    ] {
        assert_eq!(
            refused(get(&mut table, "agent", wrong.clone())),
            Some(ErrorType::RequestMalformed),
            "{wrong}"
        );
    }
    for user in ["a", "stranger"] {
        let refusal = refused(get(&mut table, user, json!({"stats_length": 1})));
        assert_eq!(refusal, Some(ErrorType::PermissionDenied), "{user}");
    }
}

#[test]
fn what_an_hour_has_too_many_of_is_counted_together_and_said() {
    let mut stats = Stats::default();
    for number in 0..GROUPS + 10 {
        let metadata = json!({"vars": {"n": number.to_string()}});
        stats.count(&Share::new(&"agent".into(), metadata.as_object(), 0), 1);
    }
    let stages = |number: usize| BTreeMap::from([(Text::from(number.to_string()), 1)]);
    (0..STAGES + 5).for_each(|number| stats.visited(0, 1, &stages(number)));
    let shown = stats.hours[&0].clone().shown().unwrap();
    let groups = shown["audiences"].as_array().unwrap();
    assert_eq!(groups.len(), GROUPS + 1);
    let plain = groups.iter().find(|group| group.get("vars").is_none()).unwrap();
    assert_eq!((&plain["accept_count"], &shown["levee_merged_count"]), (&json!(10), &json!(15)));
    let visits: i64 = shown["levee_stages"].as_object().unwrap().values().filter_map(Value::as_i64).sum();
    assert_eq!((visits, &shown["levee_stages"][""]), ((STAGES + 5) as i64, &json!(5)));
}

#[test]
fn variables_tags_and_ratings_count_if_they_are_what_they_should_be() {
    let vars = |vars: Value| Share::new(&"agent".into(), json!({ "vars": vars }).as_object(), 0).vars.len();
    assert_eq!(vars(json!({"a": "b", "c": "d"})), 2);
    let many: Object = (0..=VARS).map(|number| (number.to_string(), json!("x"))).collect();
    for wrong in [json!({"a": 1}), json!("a"), json!({"a": "x".repeat(BYTES + 1)}), json!(many)] {
        assert_eq!(vars(wrong.clone()), 0, "{wrong}");
    }
    let mut share = Share::new(&"agent".into(), None, 0);
    for (data, tags, rating) in [
        (json!({"tag_ids": ["b", "a", "a", 5], "rating": 1}), 2, Some(1)),
        (json!({"tag_ids": "none", "rating": 7}), 2, Some(1)),
        (json!({"rating": "good"}), 2, Some(1)),
        (json!({"tag_ids": null, "rating": null}), 0, None),
    ] {
        share.tag(data.as_object().unwrap());
        share.rate(data.as_object().unwrap());
        assert_eq!((share.tags.len(), share.rating), (tags, rating), "{data}");
    }
}

#[test]
fn visits_are_counted_together_once_each_and_lost_by_nothing_but_a_crash() {
    let mut table = queue();
    let visit = |session: &str, action: u64, stage: Option<&str>| {
        json!({"Visit": {"command": {"session": session, "action_id": action}, "described": stage.is_none(),
            "stage": stage}})
    };
    let first = table.order(visit("s", 1, None)).unwrap();
    assert!(matches!(first.emits[..], [Emit::Wait(crate::machine::Timer::Visits, _)]));
    for (session, action, stage) in
        [("s", 1, None), ("t", 1, None), ("t", 2, Some("questionnaire")), ("t", 2, Some("questionnaire"))]
    {
        let step = table.order(visit(session, action, stage)).unwrap();
        assert!(step.records.is_empty() && step.emits.is_empty());
    }
    let step = table.order(json!("Count")).unwrap();
    assert!(step.emits.contains(&Emit::Unwait(crate::machine::Timer::Visits)));
    let visited =
        QueueRecord::Visited { described: 2, stages: BTreeMap::from([("questionnaire".into(), 1)]) };
    assert_eq!(step.records[0].record, visited);
    assert!(!Queue::moves_line(&visited));
    assert!(table.order(json!("Count")).unwrap().records.is_empty());
}
