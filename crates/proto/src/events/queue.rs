//! Events: Queues and audiences.

use super::events;
use crate::attrs::*;
use crate::types::*;

events! {
    /// A queue was made.
    QueueCreated = "queue_created" { queue_attrs: QueueAttrs, queue_id: Id, queue_settings: Object ; queue_members: Object, realm_id: Id }
    /// Describes a queue.
    QueueFound = "queue_found" { queue_attrs: QueueAttrs, queue_id: Id ; levee_waiting: Vec<Waiting>, queue_members: Object, queue_position: u64, queue_settings: Object, queue_time: f64, realm_id: Id }
    /// A queue, its length or the user's position changed.
    QueueUpdated = "queue_updated" { queue_attrs: QueueAttrs, queue_id: Id ; event_cause: Text, levee_waiting: Vec<Waiting>, queue_position: u64, queue_settings: Object, queue_time: f64, realm_id: Id }
    /// A queue was deleted.
    QueueDeleted = "queue_deleted" { queue_id: Id ; realm_id: Id }
    /// The user serves a queue now.
    QueueJoined = "queue_joined" { queue_attrs: QueueAttrs, queue_id: Id, queue_settings: Object ; realm_id: Id }
    /// The user no longer serves a queue.
    QueueParted = "queue_parted" { queue_id: Id ; event_cause: Text, realm_id: Id }
    /// Somebody serves a queue now.
    QueueMemberJoined = "queue_member_joined" { member_attrs: QueueMemberAttrs, queue_id: Id, user_attrs: UserAttrs, user_id: Id ;  }
    /// Somebody no longer serves a queue.
    QueueMemberParted = "queue_member_parted" { queue_id: Id, user_id: Id ; event_cause: Text }
    /// The user waits in a queue now.
    AudienceEnqueued = "audience_enqueued" { audience_id: Id, queue_attrs: QueueAttrs, queue_id: Id, queue_position: u64 ;  }
    /// A contact request was taken.
    AudienceRegistered = "audience_registered" { audience_id: Id, queue_id: Id ;  }
    /// Hourly statistics.
    QueueStatsContents = "queue_stats_contents" { queue_stats: Object ;  }
    /// Finished audiences.
    QueueTranscriptsFound = "queue_transcripts_found" { queue_id: Id, queue_transcripts: Vec<Object> ;  }
    /// Finished audiences were deleted.
    QueueTranscriptsDeleted = "queue_transcripts_deleted" { interval_begin: f64, interval_end: f64, queue_id: Id ;  }
}
