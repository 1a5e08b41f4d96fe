//! Transfers: a customer goes on to another queue, and is never lost on the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::Event;
use serde_json::json;
use support::people::{Desk, Person};
use support::{LIMIT, Server, refused, within};

/// Makes another queue in the realm, which its agent serves too.
async fn other_queue(desk: &Desk, name: &str) -> String {
    let attrs = json!({"realm_id": desk.realm, "queue_attrs": {"name": name}});
    let queue = desk.operator.ask("create_queue", attrs).await.unwrap().str("queue_id").to_owned();
    let member = json!({"queue_id": queue, "user_id": desk.agent.user_id()});
    desk.operator.ask("add_member", member).await.unwrap();
    queue
}

/// Another organisation: its operator and its queue.
async fn elsewhere(server: &Server) -> (Person, String) {
    let operator = server.user("elsewhere").await;
    let realm = operator.create_realm("Elsewhere").await.unwrap();
    let queue = operator.create_queue(&realm, json!({"name": "Theirs"})).await.unwrap();
    (operator, queue)
}

async fn allow(desk: &Desk, queues: &[&str]) {
    let settings = json!({"queue_id": desk.queue, "queue_settings": {"transfer_queue_ids": queues}});
    desk.operator.ask("update_queue", settings).await.unwrap();
}

/// An audience: its organisation, which has another queue, and its customer.
struct Scene {
    desk: Desk,
    billing: String,
    customer: Person,
    channel: String,
    audience: String,
}

/// The agent accepts a customer.
async fn scene(server: &Server) -> Scene {
    let mut desk = server.desk().await;
    let billing = other_queue(&desk, "Billing").await;
    let mut customer = server.guest("Cleo").await;
    let channel = desk.meet(&mut customer).await;
    let found = desk.agent.ask("describe_channel", json!({"channel_id": channel})).await.unwrap();
    let audience = found.at("/channel_attrs/audience_id").as_str().unwrap().to_owned();
    Scene { desk, billing, customer, channel, audience }
}

impl Scene {
    /// The agent transfers the customer, which the settings allow.
    async fn transfer_to(&self, queue: &str) -> Event {
        allow(&self.desk, &[queue]).await;
        let wish = json!({"audience_id": self.audience, "queue_id": queue});
        self.desk.agent.ask("transfer_audience", wish).await.unwrap()
    }

    /// The customer's next place in a queue.
    async fn place(&mut self) -> (String, u64) {
        let enqueued = self.customer.events.named("audience_enqueued").await.unwrap();
        (enqueued.str("queue_id").to_owned(), enqueued["queue_position"].as_u64().unwrap())
    }
}

#[tokio::test]
async fn a_customer_is_transferred_and_met_in_a_channel_that_tells_where_they_came_from() {
    within(LIMIT, async {
        let server = Server::start().await;
        let scene = scene(&server).await;
        let parted = scene.transfer_to(&scene.billing).await;
        let Scene { mut desk, billing, mut customer, channel, audience } = scene;
        assert_eq!((parted.name(), parted.str("channel_id")), ("channel_parted", channel.as_str()));

        let is_target = |event: &Event| event.str("message_type") == "ninchat.com/info/transfer/target";
        customer.events.find("where they go", is_target).await.unwrap();
        let closed = customer.events.named("channel_updated").await.unwrap();
        assert_eq!(closed.at("/channel_attrs/closed"), &json!(true));
        assert_eq!(closed.at("/channel_attrs/audience_transferred"), &json!(true));
        let enqueued = customer.events.named("audience_enqueued").await.unwrap();
        assert_eq!((enqueued.str("queue_id"), &enqueued["queue_position"]), (billing.as_str(), &json!(1)));
        assert_ne!(enqueued.str("audience_id"), audience, "it is another audience");

        let again = desk.agent.accept_audience(&billing, None).await.unwrap();
        assert_ne!(again.str("channel_id"), channel);
        let is_source = |event: &Event| {
            event.name() == "message_received"
                && event.str("message_type") == "ninchat.com/info/transfer/source"
        };
        let source = desk.agent.events.find("where they came from", is_source).await.unwrap();
        let content: serde_json::Value = serde_json::from_slice(&source.parts()[0]).unwrap();
        assert_eq!(content["channel_id"], channel.as_str());
        assert_eq!(content["audience_id"], audience.as_str());
        assert_eq!(content["queue_id"], desk.queue.as_str());
        assert_eq!(content["user_id"], desk.agent.user_id());
    })
    .await;
}

#[tokio::test]
async fn transfers_pass_closing_and_capacity() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut scene = scene(&server).await;
        let first = server.guest("First").await;
        first.request_audience(&scene.billing).await.unwrap();
        let shut = json!({"queue_id": scene.billing, "queue_attrs": {"closed": true, "capacity": 1}});
        scene.desk.operator.ask("update_queue", shut).await.unwrap();
        scene.transfer_to(&scene.billing).await;
        assert_eq!(scene.place().await, (scene.billing.clone(), 2));
    })
    .await;
}

#[tokio::test]
async fn a_customer_whose_new_queue_is_gone_is_first_in_the_old_one() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut scene = scene(&server).await;
        let next = server.guest("Next").await;
        next.request_audience(&scene.desk.queue).await.unwrap();
        scene.desk.operator.ask("delete_queue", json!({"queue_id": scene.billing})).await.unwrap();
        scene.transfer_to(&scene.billing).await;
        assert_eq!(scene.place().await, (scene.desk.queue.clone(), 1));
    })
    .await;
}

#[tokio::test]
async fn a_customer_stays_in_the_organisation_whatever_its_settings_say() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut scene = scene(&server).await;
        let (foreign, queue) = elsewhere(&server).await;
        scene.transfer_to(&queue).await;
        assert_eq!(scene.place().await, (scene.desk.queue.clone(), 1));
        let found = foreign.ask("describe_queue", json!({"queue_id": queue})).await.unwrap();
        assert_eq!(found.at("/queue_attrs/length"), &json!(0));
    })
    .await;
}

#[tokio::test]
async fn what_may_not_be_transferred_stays() {
    within(LIMIT, async {
        let server = Server::start().await;
        let Scene { desk, billing, customer, channel, audience } = scene(&server).await;
        let wish = json!({"audience_id": audience, "queue_id": billing});
        // Nobody has allowed it.
        let outcome = desk.agent.ask("transfer_audience", wish.clone()).await;
        assert_eq!(refused(outcome), "permission_denied");
        allow(&desk, &[&billing]).await;
        assert_eq!(refused(customer.ask("transfer_audience", wish.clone()).await), "permission_denied");
        // To strangers it is not there, no more than one that never was.
        let (stranger, foreign) = elsewhere(&server).await;
        assert_eq!(refused(stranger.ask("transfer_audience", wish.clone()).await), "audience_not_found");
        for bad in ["00nothing", "", "ä", "zz"] {
            let wish = json!({"audience_id": bad, "queue_id": billing});
            assert_eq!(
                refused(desk.agent.ask("transfer_audience", wish).await),
                "audience_not_found",
                "{bad}"
            );
        }
        // A queue of another organisation is never among those allowed by mistake of its id alone.
        let abroad = json!({"audience_id": audience, "queue_id": foreign});
        assert_eq!(refused(desk.agent.ask("transfer_audience", abroad).await), "permission_denied");
        let wrong = json!({"audience_id": audience, "queue_id": 5});
        assert_eq!(refused(desk.agent.ask("transfer_audience", wrong).await), "request_malformed");
        let found = desk.agent.ask("describe_channel", json!({"channel_id": channel})).await.unwrap();
        assert!(found.at("/channel_attrs/closed").is_null());
    })
    .await;
}
