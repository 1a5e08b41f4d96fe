//! Parameters of actions: Webhooks, which post a realm's events to a URL (our own addition to the API).

use super::parameters;
use crate::types::*;

parameters! {
    /// Makes a webhook of a realm, or of one of its queues: its events are posted to a URL, once that has answered a challenge.
    CreateWebhook { events: Vec<Text>, realm_id: Id, url: Text ; format: Text, queue_id: Id }
    /// Lists a realm's webhooks, or shows one.
    DescribeWebhooks { realm_id: Id ; webhook_id: Id }
    /// Changes a webhook. Another URL has to answer a challenge first; what happens meanwhile waits.
    UpdateWebhook { realm_id: Id, webhook_id: Id ; events: Vec<Text>, format: Text, url: Text }
    /// Deletes a webhook, and what it has not delivered.
    DeleteWebhook { realm_id: Id, webhook_id: Id ;  }
    /// Sends a webhook's URL the challenge, again.
    TestWebhook { realm_id: Id, webhook_id: Id ;  }
    /// Asks for the last attempts to tell a webhook something, and for what it was not told in time, oldest first.
    DescribeWebhookDeliveries { realm_id: Id, webhook_id: Id ;  }
    /// Has a webhook told once more what it was not told in time: some of it by their ids, or the oldest hundred.
    ReplayWebhook { realm_id: Id, webhook_id: Id ; delivery_ids: Vec<Text> }
}
