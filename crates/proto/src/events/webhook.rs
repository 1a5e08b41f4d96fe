//! Events: Webhooks (our own addition to the API).

use super::events;
use crate::types::*;

events! {
    /// A webhook was made.
    WebhookCreated = "levee_webhook_created" { realm_id: Id, webhook: Object, webhook_id: Id ;  }
    /// Lists a realm's webhooks.
    WebhooksFound = "levee_webhooks_found" { realm_id: Id, webhooks: Object ;  }
    /// A webhook changed, or its URL has answered the challenge, or did not.
    WebhookUpdated = "levee_webhook_updated" { realm_id: Id, webhook: Object, webhook_id: Id ;  }
    /// Lists the last attempts to tell a webhook something, newest first, and what it was not told in time.
    WebhookDeliveriesFound = "levee_webhook_deliveries_found" { attempts: Vec<Object>, dead: Vec<Object>, realm_id: Id, webhook_id: Id ;  }
    /// A webhook is told once more what it was not told in time.
    WebhookReplayed = "levee_webhook_replayed" { deliveries: u64, more: bool, realm_id: Id, webhook_id: Id ;  }
    /// A webhook was deleted.
    WebhookDeleted = "levee_webhook_deleted" { realm_id: Id, webhook_id: Id ;  }
}
