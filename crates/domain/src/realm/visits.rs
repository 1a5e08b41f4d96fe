//! What the realm's queues are told of visitors who look at them.

use super::{Realm, RealmRecord};
use crate::machine::{Actor, Emit, Step};
use crate::view::Stream;
use levee_proto::{Id, Object, Rejection, Text, limits};
use serde_json::json;

/// Bytes of a stage's name.
const STAGE: usize = 64;

/// Fails unless a visitor's stage can be counted.
///
/// # Errors
/// `request_malformed`.
pub(super) fn check(stage: Option<&Text>, metadata: Option<&Object>) -> Result<(), Rejection> {
    if stage.is_some_and(|stage| stage.is_empty() || stage.len() > STAGE) {
        return Err(Rejection::malformed(format!("track_stage has 1 to {STAGE} bytes")));
    }
    let long = |metadata| serde_json::to_vec(metadata).map_or(true, |text| text.len() > limits::OBJECT_BYTES);
    if metadata.is_some_and(long) {
        return Err(Rejection::malformed("track_metadata is too long"));
    }
    Ok(())
}

/// Tells queues of a visit.
pub(super) fn tell(
    mut step: Step<RealmRecord>,
    actor: &Actor,
    queues: &[&Id],
    described: bool,
    stage: Option<&Text>,
) -> Step<RealmRecord> {
    let visit = json!({"Visit": {"command": actor.command(), "described": described, "stage": stage}});
    step.emits.extend(queues.iter().map(|queue| Emit::Tell(Stream::queue(queue), visit.clone())));
    step
}

impl Realm {
    /// The queues that somebody wants to know of; ids that are none of the realm's are ignored.
    pub(super) fn wanted_queues(&self, some: Option<&Vec<Text>>) -> Vec<&Id> {
        self.queues.iter().filter(|id| some.is_none_or(|some| some.contains(*id))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Answer, Entry};
    use crate::table::{ID, Table, refused};
    use levee_proto::ErrorType;
    use serde_json::Value;

    /// The queues that a step tells of a visit, and what of it.
    fn visits(step: &Step<Entry<RealmRecord>>) -> Vec<(Id, Value)> {
        let visit = |emit: &Emit| match emit {
            Emit::Tell(to, order) => Some((to.id.clone(), order["Visit"].clone())),
            _ => None,
        };
        step.emits.iter().filter_map(visit).collect()
    }

    fn realm() -> (Table<Realm>, Vec<Id>) {
        let mut table: Table<Realm> = Table::new();
        table.act("owner", "create_realm", json!({}), &[]).unwrap();
        for name in ["A", "B"] {
            let attrs = json!({"realm_id": ID, "queue_attrs": {"name": name}});
            table.act("owner", "create_queue", attrs, &[]).unwrap();
        }
        let queues = table.entity.machine.queues.clone();
        (table, queues)
    }

    #[test]
    fn queues_hear_of_visitors_and_of_the_stages_that_they_report() {
        let (mut table, queues) = realm();
        let track = json!({"realm_id": ID, "track_stage": "form", "track_metadata": {"page": "/"},
            "queue_ids": [queues[1], "00nothing"]});
        let step = table.act("visitor", "track", track, &[]).unwrap();
        assert!(step.records.is_empty() && matches!(step.emits[0], Emit::Answer(Answer::Event(_))));
        let told = visits(&step);
        assert_eq!(told.len(), 1);
        assert_eq!(
            (&told[0].0, &told[0].1["stage"], &told[0].1["described"]),
            (&queues[1], &json!("form"), &json!(false))
        );
        assert!(told[0].1["command"].is_object(), "sent again it counts once");
        // All queues, if none is named.
        let look = json!({"realm_id": ID, "track_stage": "page"});
        let told = visits(&table.act("visitor", "describe_realm_queues", look.clone(), &[]).unwrap());
        assert_eq!(told.iter().map(|(queue, _)| queue.clone()).collect::<Vec<_>>(), queues);
        assert!(told.iter().all(|(_, visit)| visit["described"] == true && visit["stage"] == "page"));
        // Its own people are no visitors.
        assert!(visits(&table.act("owner", "describe_realm_queues", look, &[]).unwrap()).is_empty());
    }

    #[test]
    fn stages_have_short_names_and_a_realm_to_be_of() {
        let (mut table, _) = realm();
        for wrong in [
            json!({"track_stage": "", "track_metadata": {}}),
            json!({"track_stage": "x".repeat(STAGE + 1), "track_metadata": {}}),
            json!({"track_stage": "x"}),
            json!({"track_stage": "x", "track_metadata": {"a": "x".repeat(limits::OBJECT_BYTES)}}),
        ] {
            let mut header = wrong;
            header["realm_id"] = json!(ID);
            let refusal = refused(table.act("visitor", "track", header, &[]));
            assert_eq!(refusal, Some(ErrorType::RequestMalformed));
        }
        let long = json!({"realm_id": ID, "track_stage": "x".repeat(STAGE + 1)});
        let refusal = refused(table.act("visitor", "describe_realm_queues", long, &[]));
        assert_eq!(refusal, Some(ErrorType::RequestMalformed));
        let mut nothing: Table<Realm> = Table::new();
        let track = json!({"realm_id": ID, "track_stage": "x", "track_metadata": {}});
        assert_eq!(refused(nothing.act("visitor", "track", track, &[])), Some(ErrorType::RealmNotFound));
    }
}
