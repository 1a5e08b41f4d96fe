//! Queues and audiences: waiting, positions, accepting, refusing, leaving.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::Options;
use levee_client::session::login;
use serde_json::{Value, json};
use support::{LIMIT, Server, refused, within};

#[tokio::test]
async fn customers_hear_their_positions_as_the_queue_moves() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let mut customers = Vec::new();
        for position in 1..=3 {
            let customer = server.guest(&format!("Customer {position}")).await;
            let enqueued = customer.request_audience(&desk.queue).await.unwrap();
            assert_eq!(enqueued.name(), "audience_enqueued");
            assert_eq!(
                (enqueued.str("queue_id"), &enqueued["queue_position"]),
                (desk.queue.as_str(), &json!(position))
            );
            assert!(!enqueued.str("audience_id").is_empty());
            assert_eq!(enqueued.at("/queue_attrs/name"), "Help");
            customers.push(customer);
        }
        desk.agent.accept_audience(&desk.queue, None).await.unwrap();
        customers[0].events.named("channel_joined").await.unwrap();
        for (customer, position) in customers[1..].iter_mut().zip([1, 2]) {
            let moved = |event: &levee_client::Event| {
                event.name() == "queue_updated" && event["queue_position"] == position
            };
            customer.events.find("a new position", moved).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn an_accepted_audience_opens_a_channel_for_both() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let mut customer = server.guest("Cleo").await;
        let wish =
            json!({"queue_id": desk.queue, "audience_metadata": {"page": "/lamps", "vars": {"a": "b"}}});
        let audience = customer.ask("request_audience", wish).await.unwrap();
        let agents = desk.agent.accept_audience(&desk.queue, None).await.unwrap();
        let customers = customer.events.named("channel_joined").await.unwrap();
        assert_eq!(agents.name(), "channel_joined");
        assert_eq!(agents["channel_id"], customers["channel_id"]);
        for joined in [&agents, &customers] {
            assert_eq!(joined.at("/channel_attrs/audience_id"), &audience["audience_id"]);
            assert_eq!(joined.at("/channel_attrs/queue_id"), desk.queue.as_str());
            assert_eq!(joined["realm_id"], desk.realm.as_str());
            for member in [desk.agent.user_id(), customer.user_id()] {
                assert!(
                    joined["channel_members"][member]["user_attrs"].is_object(),
                    "{member} in {joined:?}"
                );
            }
        }
        assert_eq!(agents.at("/audience_metadata/page"), "/lamps");
    })
    .await;
}

#[tokio::test]
async fn an_agent_takes_the_next_customer_or_a_certain_one() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let mut audiences = Vec::new();
        let mut customers = Vec::new();
        for name in ["A", "B", "C"] {
            let customer = server.guest(name).await;
            audiences
                .push(customer.request_audience(&desk.queue).await.unwrap().str("audience_id").to_owned());
            customers.push(customer);
        }
        for (wish, got) in
            [(Some(&audiences[1]), &audiences[1]), (None, &audiences[0]), (None, &audiences[2])]
        {
            let accepted = desk.agent.accept_audience(&desk.queue, wish.map(String::as_str)).await.unwrap();
            assert_eq!(accepted.at("/channel_attrs/audience_id"), got.as_str());
        }
        let empty = desk.agent.accept_audience(&desk.queue, None).await;
        assert_eq!(refused(empty), "queue_is_empty");
        let taken = desk.agent.accept_audience(&desk.queue, Some(&audiences[1])).await;
        assert_eq!(refused(taken), "audience_not_found");
        let unknown = desk.agent.accept_audience(&desk.queue, Some("00unknown000000000")).await;
        assert_eq!(refused(unknown), "audience_not_found");
    })
    .await;
}

#[tokio::test]
async fn a_customer_whose_session_closes_leaves_the_queue() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut desk = server.desk().await;
        let customer = server.guest("Cleo").await;
        customer.request_audience(&desk.queue).await.unwrap();
        let length = |length: u64| {
            move |event: &levee_client::Event| {
                event.name() == "queue_updated" && event.at("/queue_attrs/length") == &json!(length)
            }
        };
        let asked = desk.agent.events.find("a customer", length(1)).await.unwrap();
        assert_eq!(asked["event_cause"], "audience_request");
        assert_eq!(asked.at("/levee_waiting/0/user_id"), customer.user_id());
        assert_eq!(asked.at("/levee_waiting/0/user_name"), "Cleo");
        customer.close().await;
        let left = desk.agent.events.find("nobody", length(0)).await.unwrap();
        assert_eq!(left["event_cause"], "audience_drop");
        assert_eq!(refused(desk.agent.accept_audience(&desk.queue, None).await), "queue_is_empty");
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_takes_nobody_says_why() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let set = async |who: &support::people::Person, attributes: Value| {
            who.ask("update_queue", json!({"queue_id": desk.queue, "queue_attrs": attributes})).await
        };
        let ask = async || {
            let customer = server.guest("Cleo").await;
            (customer.request_audience(&desk.queue).await, customer)
        };
        // Members may close it, operators suspend it.
        set(&desk.agent, json!({"closed": true})).await.unwrap();
        assert_eq!(refused(ask().await.0), "queue_is_closed");
        set(&desk.agent, json!({"closed": false})).await.unwrap();
        assert_eq!(refused(set(&desk.agent, json!({"suspended": true})).await), "permission_denied");
        set(&desk.operator, json!({"suspended": true})).await.unwrap();
        assert_eq!(refused(ask().await.0), "queue_is_suspended");
        set(&desk.operator, json!({"suspended": null, "capacity": 1})).await.unwrap();
        let (first, _waiting) = ask().await;
        first.unwrap();
        assert_eq!(refused(ask().await.0), "queue_is_full");
        let (unknown, guest) = (json!({"queue_id": "00unknown000000000"}), server.guest("Cleo").await);
        assert_eq!(refused(guest.ask("request_audience", unknown).await), "queue_not_found");
    })
    .await;
}

#[tokio::test]
async fn a_visitor_sees_a_realms_queues_and_hears_of_changes() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let other = desk.operator.create_queue(&desk.realm, json!({"name": "Other"})).await.unwrap();
        let mut visitor = server.guest("Vera").await;
        let found = visitor.ask("describe_realm_queues", json!({"realm_id": desk.realm})).await.unwrap();
        assert_eq!((found.name(), found.str("realm_id")), ("realm_queues_found", desk.realm.as_str()));
        for (queue, name) in [(&desk.queue, "Help"), (&other, "Other")] {
            assert_eq!(found["realm_queues"][queue.as_str()]["queue_attrs"]["name"], name);
        }
        let rename = json!({"queue_id": other, "queue_attrs": {"name": "Renamed", "closed": true}});
        desk.operator.ask("update_queue", rename).await.unwrap();
        let renamed = |event: &levee_client::Event| {
            event.name() == "queue_updated" && event.at("/queue_attrs/name") == "Renamed"
        };
        let updated = visitor.events.find("the new name", renamed).await.unwrap();
        assert_eq!(
            (updated.str("queue_id"), updated.at("/queue_attrs/closed")),
            (other.as_str(), &json!(true))
        );
        // Who waits is not a visitor's business.
        assert!(updated["levee_waiting"].is_null());
        // Unknown ids are ignored, others left out.
        let some = json!({"realm_id": desk.realm, "queue_ids": [other, "00unknown000000000"]});
        let found = visitor.ask("describe_realm_queues", some).await.unwrap();
        let ids: Vec<_> = found["realm_queues"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(ids, [other]);
    })
    .await;
}

#[tokio::test]
async fn the_queue_describes_itself_to_each_as_it_concerns_them() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let customer = server.guest("Cleo").await;
        customer.request_audience(&desk.queue).await.unwrap();
        let which = json!({"queue_id": desk.queue});
        let customers = customer.ask("describe_queue", which.clone()).await.unwrap();
        assert_eq!((customers.name(), &customers["queue_position"]), ("queue_found", &json!(1)));
        assert!(customers["queue_members"].is_null() && customers["levee_waiting"].is_null());
        let agents = desk.agent.ask("describe_queue", which).await.unwrap();
        assert!(agents["queue_position"].is_null());
        assert!(agents["queue_time"].as_f64().is_some_and(|time| (0.0..60.0).contains(&time)), "{agents:?}");
        assert!(agents["queue_members"][desk.agent.user_id()].is_object());
        // Another session of the customer hears of the place in the queue.
        let by = json!({"user_id": customer.user_id(), "user_auth": customer.created()["user_auth"]});
        let again = server.open(by, Options::default()).await;
        assert_eq!(again.created()["user_queues"][desk.queue.as_str()]["queue_position"], 1);
    })
    .await;
}

#[tokio::test]
async fn only_members_accept_and_only_operators_manage() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let (guest, stranger) = (server.guest("Gus").await, server.user("stranger").await);
        assert_eq!(refused(guest.create_realm("No").await), "permission_denied");
        for person in [&guest, &stranger] {
            assert_eq!(refused(person.accept_audience(&desk.queue, None).await), "permission_denied");
            let close = json!({"queue_id": desk.queue, "queue_attrs": {"closed": true}});
            assert_eq!(refused(person.ask("update_queue", close).await), "permission_denied");
        }
        for person in [&desk.agent, &stranger, &guest] {
            refused(person.create_queue(&desk.realm, json!({"name": "No"})).await);
            refused(person.ask("delete_queue", json!({"queue_id": desk.queue})).await);
            let add = json!({"queue_id": desk.queue, "user_id": person.user_id()});
            refused(person.ask("add_member", add).await);
        }
        // Still there, still as it was.
        let found = desk.operator.ask("describe_queue", json!({"queue_id": desk.queue})).await.unwrap();
        assert!(found.at("/queue_attrs/closed").is_null());
    })
    .await;
}

#[tokio::test]
async fn a_member_of_the_realm_can_be_added_to_its_queue_at_once() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        for number in 0..5 {
            let mut agent = server.user(&format!("agent-{number}")).await;
            // What was acknowledged counts for the next action of the same session.
            desk.operator.add_agent(&desk.realm, &desk.queue, agent.user_id()).await.unwrap();
            assert_eq!(agent.events.named("realm_joined").await.unwrap().str("realm_id"), desk.realm);
            assert_eq!(agent.events.named("queue_joined").await.unwrap().str("queue_id"), desk.queue);
        }
        let again = server.open(login("agent@example.org", "secret-agent"), Options::default()).await;
        let queue = &again.created()["user_queues"][desk.queue.as_str()];
        assert_eq!((&queue["queue_attrs"]["name"], &queue["queue_position"]), (&json!("Help"), &Value::Null));
    })
    .await;
}

#[tokio::test]
async fn a_removed_member_hears_of_it_and_accepts_no_more() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut desk = server.desk().await;
        let remove = json!({"queue_id": desk.queue, "user_id": desk.agent.user_id()});
        let parted = desk.operator.ask("remove_member", remove).await.unwrap();
        assert_eq!((parted.name(), parted.str("user_id")), ("queue_member_parted", desk.agent.user_id()));
        assert_eq!(desk.agent.events.named("queue_parted").await.unwrap()["event_cause"], "member_remove");
        assert_eq!(refused(desk.agent.accept_audience(&desk.queue, None).await), "permission_denied");
    })
    .await;
}

#[tokio::test]
async fn a_deleted_queue_is_gone() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let deleted = desk.operator.ask("delete_queue", json!({"queue_id": desk.queue})).await.unwrap();
        assert_eq!((deleted.name(), deleted.str("queue_id")), ("queue_deleted", desk.queue.as_str()));
        let customer = server.guest("Cleo").await;
        assert_eq!(refused(customer.request_audience(&desk.queue).await), "queue_not_found");
    })
    .await;
}

#[tokio::test]
async fn ready_made_secure_metadata_is_refused() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let customer = server.guest("Cleo").await;
        for secure in [json!({"vip": true}), json!(5), json!(true), json!(["x"])] {
            let wish = json!({"queue_id": desk.queue, "audience_metadata": {"secure": secure}});
            refused(customer.ask("request_audience", wish).await);
        }
        assert_eq!(refused(desk.agent.accept_audience(&desk.queue, None).await), "queue_is_empty");
    })
    .await;
}

#[tokio::test]
async fn an_agent_who_accepts_hears_that_it_was_their_doing_and_a_colleague_that_it_was_not() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut desk = server.desk().await;
        let mut colleague = server.user("colleague").await;
        desk.operator.add_agent(&desk.realm, &desk.queue, colleague.user_id()).await.unwrap();
        let customer = server.guest("Cleo").await;
        customer.request_audience(&desk.queue).await.unwrap();
        desk.agent.accept_audience(&desk.queue, None).await.unwrap();
        for (who, cause) in
            [(&mut desk.agent, "audience_accept_self"), (&mut colleague, "audience_accept_peer")]
        {
            let accepted = |event: &levee_client::Event| {
                event.name() == "queue_updated" && event.str("event_cause").starts_with("audience_accept")
            };
            let updated = who.events.find("an empty queue", accepted).await.unwrap();
            assert_eq!((updated.str("event_cause"), updated.at("/queue_attrs/length")), (cause, &json!(0)));
        }
    })
    .await;
}
