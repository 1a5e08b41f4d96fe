//! Error types of the API, and a rejection: an error as a normal outcome.

use crate::types::{Id, Text};
use serde::{Deserialize, Serialize};

/// Declares the error types with their wire names and what they mean.
macro_rules! error_types {
    ($( $variant:ident = $wire:literal : $doc:literal, )*) => {
        /// Why an action failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorType { $( #[doc = $doc] #[serde(rename = $wire)] $variant, )* }

        impl ErrorType {
            /// Every error type.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];
            /// The name on the wire.
            pub fn name(self) -> &'static str { match self { $( Self::$variant => $wire, )* } }
            /// What it means.
            pub fn meaning(self) -> &'static str { match self { $( Self::$variant => $doc, )* } }
        }
    };
}

error_types! {
    AccessAlreadySpent = "access_already_spent": "The access key was used before.",
    AccessBlocked = "access_blocked": "The identity refuses access messages.",
    AccessDenied = "access_denied": "The credentials are wrong or were revoked.",
    AccessExpired = "access_expired": "The signature or access key is too old.",
    AccessTooEarly = "access_too_early": "The access key is not valid yet.",
    ActionNotSupported = "action_not_supported": "The action is unknown, or not implemented here.",
    AudienceNotFound = "audience_not_found": "The audience does not exist, or somebody else took it.",
    ChannelNotFound = "channel_not_found": "The channel does not exist, or is not visible to the user.",
    ChannelQuotaExceeded = "channel_quota_exceeded": "No more channels, or members of a channel, are allowed.",
    ConnectionSuperseded = "connection_superseded": "Another connection took over the session.",
    Deprecated = "deprecated": "A newer version of the API exists.",
    FileNotFound = "file_not_found": "The file does not exist, or is not visible to the user.",
    FileNotSupported = "file_not_supported": "The file can't be used for this.",
    IdentityAlreadyExists = "identity_already_exists": "Somebody has the identity already.",
    IdentityNotFound = "identity_not_found": "The identity does not exist, or is not visible to the user.",
    Internal = "internal": "The server failed; the same action may succeed later.",
    SiteAlreadyExists = "levee_site_already_exists": "The key of the site is taken.",
    SiteNotFound = "levee_site_not_found": "The site does not exist, or is not visible to the user.",
    WebhookNotFound = "levee_webhook_not_found": "The webhook does not exist, or is not visible to the user.",
    MessageDropped = "message_dropped": "The message was not delivered.",
    MessageHasTooManyParts = "message_has_too_many_parts": "The payload has too many parts.",
    MessageMalformed = "message_malformed": "The payload does not fit the message type.",
    MessageNotSupported = "message_not_supported": "The message type can't be sent by this user, or here.",
    MessagePartTooLong = "message_part_too_long": "A part of the payload is too long.",
    MessageTooLong = "message_too_long": "The payload as a whole is too long.",
    MessageTypeTooLong = "message_type_too_long": "The name of the message type is too long.",
    MessageTypesTooLong = "message_types_too_long": "Too many message types are listed.",
    PayloadHasTooManyParts = "payload_has_too_many_parts": "More frames were announced than are allowed.",
    PayloadPartTooLong = "payload_part_too_long": "A payload frame is too long.",
    PermissionAlreadySpent = "permission_already_spent": "The signature was used before.",
    PermissionDenied = "permission_denied": "The user may not do this.",
    PermissionExpired = "permission_expired": "The encrypted metadata is too old.",
    QueueIsClosed = "queue_is_closed": "The queue takes nobody at this time.",
    QueueIsEmpty = "queue_is_empty": "Nobody waits.",
    QueueIsFull = "queue_is_full": "As many wait as the queue allows.",
    QueueIsSuspended = "queue_is_suspended": "The queue is read-only.",
    QueueMemberQuotaExceeded = "queue_member_quota_exceeded": "No more queue members are allowed.",
    QueueNotFound = "queue_not_found": "The queue does not exist, or is not visible to the user.",
    QueueQuotaExceeded = "queue_quota_exceeded": "No more queues are allowed.",
    RealmAlreadyExists = "realm_already_exists": "A realm of that name exists.",
    RealmNotFound = "realm_not_found": "The realm does not exist, or is not visible to the user.",
    RealmQuotaExceeded = "realm_quota_exceeded": "No more realms are allowed.",
    RequestMalformed = "request_malformed": "The request can't be understood; `error_reason` tells why.",
    SendRateLimited = "send_rate_limited": "Too much was sent in too short a time.",
    SessionBufferOverflow = "session_buffer_overflow": "Events were not acknowledged; the session is gone.",
    SessionNotFound = "session_not_found": "The session does not exist any more.",
    TagNotFound = "tag_not_found": "The tag does not exist, or is not visible to the user.",
    UploadQuotaExceeded = "upload_quota_exceeded": "No more uploads are allowed.",
    UserNotFound = "user_not_found": "The user does not exist, or is not visible to the user.",
}

/// An action's refusal: a normal outcome, which leaves no trace but the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// What went wrong.
    pub error_type: ErrorType,
    /// Details for a developer's eyes.
    pub reason: Option<Text>,
    /// The thing it concerns: a parameter's name and its id.
    pub about: Option<(Text, Id)>,
}

impl Rejection {
    /// A rejection without details.
    pub fn new(error_type: ErrorType) -> Self {
        Self { error_type, reason: None, about: None }
    }

    /// Adds a reason for a developer's eyes.
    #[must_use]
    pub fn because(mut self, reason: impl AsRef<str>) -> Self {
        self.reason = Some(reason.as_ref().into());
        self
    }

    /// Adds the thing it concerns, for example `about("channel_id", id)`.
    #[must_use]
    pub fn about(mut self, parameter: &str, id: &str) -> Self {
        self.about = Some((parameter.into(), id.into()));
        self
    }

    /// Malformed, with the reason.
    pub fn malformed(reason: impl AsRef<str>) -> Self {
        Self::new(ErrorType::RequestMalformed).because(reason)
    }

    /// Not allowed.
    pub fn denied() -> Self {
        Self::new(ErrorType::PermissionDenied)
    }

    /// The `error` event that says this.
    pub fn event(&self) -> crate::events::Error {
        let mut event = crate::events::Error {
            error_type: self.error_type.name().into(),
            error_reason: self.reason.clone(),
            ..Default::default()
        };
        if let Some((parameter, id)) = &self.about {
            match parameter.as_str() {
                "channel_id" => event.channel_id = Some(id.clone()),
                "user_id" => event.user_id = Some(id.clone()),
                "queue_id" => event.queue_id = Some(id.clone()),
                "realm_id" => event.realm_id = Some(id.clone()),
                "tag_id" => event.tag_id = Some(id.clone()),
                "message_type" => event.message_type = Some(id.clone()),
                "identity_name" => event.identity_name = Some(id.clone()),
                _ => {}
            }
        }
        event
    }
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.error_type.name())?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

impl std::error::Error for Rejection {}
