//! Parameters of actions: Queues and audiences.

use super::parameters;
use crate::attrs::*;
use crate::types::*;

parameters! {
    /// Changes a queue's attributes and settings.
    UpdateQueue { queue_id: Id ; queue_attrs: QueueAttrsPatch, queue_settings: Object }
    /// Deletes a queue.
    DeleteQueue { queue_id: Id ;  }
    /// Asks for a queue.
    DescribeQueue { queue_id: Id ;  }
    /// Asks for hourly statistics.
    GetQueueStats { queue_id: Id, stats_length: u64 ; stats_hour: Text }
    /// Makes an audience channel without a request.
    CreateAudience { queue_id: Id, user_id: Id ; channel_attrs: ChannelAttrsPatch }
    /// Goes to the end of a queue.
    RequestAudience { queue_id: Id ; audience_metadata: Object, levee_environments: Vec<Text>, levee_site: Text }
    /// Takes the next customer, or a certain one, from a queue.
    AcceptAudience { queue_id: Id ; audience_id: Id }
    /// Ends an audience and puts its customer into another queue.
    TransferAudience { audience_id: Id, queue_id: Id ;  }
    /// Leaves a contact request without a chat.
    RegisterAudience { queue_id: Id ; audience_metadata: Object, levee_environments: Vec<Text>, levee_site: Text }
    /// Lists a queue's finished audiences.
    DescribeQueueTranscripts { interval_begin: f64, queue_id: Id ; interval_end: f64, interval_ongoing: bool }
    /// Deletes a queue's finished audiences.
    DeleteQueueTranscripts { interval_begin: f64, interval_end: f64, queue_id: Id ;  }
}
