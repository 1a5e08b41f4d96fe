//! The table of actions: a wire name, the type of its parameters and its owner.
//!
//! An action has one row here. What a `done` row adds to its owner's enum, the owner's machine must
//! match, for the compiler asks for it; a `planned` row is refused with `action_not_supported` before
//! any machine sees it.

pub mod access;
pub mod conversation;
pub mod identity;
pub mod member;
pub mod queue;
pub mod realm;
pub mod session;
pub mod user;
pub mod webhook;

use crate::catalog::{ActionInfo, Parameter};
use crate::error::{ErrorType, Rejection};
use {
    access::*, conversation::*, identity::*, member::*, queue::*, realm::*, session::*, user::*, webhook::*,
};

/// Declares parameter structs: `Name { required; optional }`.
macro_rules! parameters {
    ($( $(#[doc = $doc:literal])* $name:ident {
        $($req:ident : $rty:ty),* $(,)? ; $($opt:ident : $oty:ty),* $(,)?
    } )*) => { $(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $( #[doc = concat!("`", stringify!($req), "`, required.")] pub $req: $rty, )*
            $( #[doc = concat!("`", stringify!($opt), "`, optional.")]
               #[serde(default, skip_serializing_if = "Option::is_none")] pub $opt: Option<$oty>, )*
        }
        impl $name {
            /// What the action does.
            pub const SUMMARY: &'static str = concat!($($doc),*);
            /// Its parameters.
            pub const PARAMETERS: &'static [crate::catalog::Parameter] = &[
                $( crate::catalog::Parameter { name: stringify!($req), ty: stringify!($rty), required: true }, )*
                $( crate::catalog::Parameter { name: stringify!($opt), ty: stringify!($oty), required: false }, )*
            ];
        }
    )* };
}
pub(crate) use parameters;

/// Declares the table of actions, one enum per owner, and the decoding.
macro_rules! actions {
    ($( $(#[doc = $doc:literal])* $owner:ident => $enum:ident {
        done { $( $name:literal => $ty:ident, )* }
        planned { $( $pname:literal => $pty:ident, )* }
    } )*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub enum $enum { $( #[doc = concat!("`", $name, "`")] $ty($ty), )* }
        )*

        /// An action that has a handler, by the owner that decides it.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Action { $( $(#[doc = $doc])* $owner($enum), )* }

        impl Action {
            /// Decodes the parameters of the action `name` from a header.
            ///
            /// # Errors
            /// `action_not_supported` for unknown and planned names, `request_malformed` with the
            /// reason when a parameter is missing or of a wrong type.
            pub fn decode(name: &str, header: &[u8]) -> Result<Self, Rejection> {
                match name {
                    $( $( $name => serde_json::from_slice(header)
                        .map(|params| Self::$owner($enum::$ty(params)))
                        .map_err(|e| malformed(&e)), )* )*
                    _ => Err(Rejection::new(ErrorType::ActionNotSupported)),
                }
            }

            /// The action's name on the wire.
            pub fn name(&self) -> &'static str {
                match self { $( $( Self::$owner($enum::$ty(_)) => $name, )* )* }
            }
        }

        /// Every action of the API, implemented or planned.
        pub static ACTIONS: &[ActionInfo] = &[
            $( $( ActionInfo { name: $name, owner: stringify!($owner), done: true,
                    summary: $ty::SUMMARY, parameters: $ty::PARAMETERS }, )*
               $( ActionInfo { name: $pname, owner: stringify!($owner), done: false,
                    summary: $pty::SUMMARY, parameters: $pty::PARAMETERS }, )* )*
        ];
    };
}

actions! {
    /// What the session itself answers.
    Session => SessionAction {
        done {
            "create_session" => CreateSession,
            "resume_session" => ResumeSession,
            "update_session" => UpdateSession,
            "close_session" => CloseSession,
            "ping" => Ping,
            "describe_conn" => DescribeConn,
            "begin_ice" => BeginIce,
            "search" => Search,
            "search_users" => SearchUsers,
            "search_channels" => SearchChannels,
        }
        planned { }
    }
    /// What a user decides.
    User => UserAction {
        done {
            "describe_user" => DescribeUser,
            "update_user" => UpdateUser,
            "delete_user" => DeleteUser,
            "create_user" => CreateUser,
        }
        planned { }
    }
    /// What a user decides about identities: the one who acts, or whose identity the name or the key is.
    Identity => IdentityAction {
        done {
            "create_identity" => CreateIdentity,
            "create_identity_with_auth_reset_access" => CreateIdentityWithAuthResetAccess,
            "request_identity_verify_access" => RequestIdentityVerifyAccess,
            "verify_identity" => VerifyIdentity,
            "describe_identity" => DescribeIdentity,
            "update_identity" => UpdateIdentity,
            "update_identity_auth" => UpdateIdentityAuth,
            "request_identity_auth_reset_access" => RequestIdentityAuthResetAccess,
            "reset_identity_auth" => ResetIdentityAuth,
            "delete_identity" => DeleteIdentity,
        }
        planned { }
    }
    /// What a realm decides.
    Realm => RealmAction {
        done {
            "create_realm" => CreateRealm,
            "describe_realm" => DescribeRealm,
            "describe_realm_queues" => DescribeRealmQueues,
            "track" => Track,
            "update_realm" => UpdateRealm,
            "delete_realm" => DeleteRealm,
            "create_queue" => CreateQueue,
            "create_tag" => CreateTag,
            "describe_tag" => DescribeTag,
            "describe_tags" => DescribeTags,
            "update_tag" => UpdateTag,
            "delete_tag" => DeleteTag,
            "levee_create_site" => CreateSite,
            "levee_describe_sites" => DescribeSites,
            "levee_update_site" => UpdateSite,
            "levee_delete_site" => DeleteSite,
        }
        planned { }
    }
    /// What a queue decides.
    Queue => QueueAction {
        done {
            "update_queue" => UpdateQueue,
            "delete_queue" => DeleteQueue,
            "describe_queue" => DescribeQueue,
            "request_audience" => RequestAudience,
            "accept_audience" => AcceptAudience,
            "get_queue_stats" => GetQueueStats,
            "create_audience" => CreateAudience,
            "describe_queue_transcripts" => DescribeQueueTranscripts,
            "delete_queue_transcripts" => DeleteQueueTranscripts,
            "register_audience" => RegisterAudience,
        }
        planned { }
    }
    /// What a channel or a dialogue decides.
    Conversation => ConversationAction {
        done {
            "create_channel" => CreateChannel,
            "describe_channel" => DescribeChannel,
            "update_channel" => UpdateChannel,
            "delete_channel" => DeleteChannel,
            "follow_channel" => FollowChannel,
            "join_channel" => JoinChannel,
            "part_channel" => PartChannel,
            "update_dialogue" => UpdateDialogue,
            "send_message" => SendMessage,
            "update_message" => UpdateMessage,
            "update_user_messages" => UpdateUserMessages,
            "load_history" => LoadHistory,
            "discard_history" => DiscardHistory,
            "transfer_audience" => TransferAudience,
            "get_transcript" => GetTranscript,
            "delete_transcript" => DeleteTranscript,
            "send_file" => SendFile,
            "levee_create_upload" => CreateUpload,
        }
        planned { }
    }
    /// What a file decides.
    File => FileAction {
        done {
            "describe_file" => DescribeFile,
        }
        planned { }
    }
    /// What a queue or a channel decides about its video room, by the id that is given.
    Video => VideoAction {
        done {
            "discover_jitsi" => DiscoverJitsi,
        }
        planned { }
    }
    /// What a user or a channel decides about access keys, by the kind of the key or by the key itself.
    Access => AccessAction {
        done {
            "create_access" => CreateAccess,
            "send_access" => SendAccess,
            "describe_access" => DescribeAccess,
        }
        planned { }
    }
    /// What a user or a realm decides about its master keys, by whether a realm is given.
    Key => KeyAction {
        done {
            "describe_master_keys" => DescribeMasterKeys,
            "describe_master" => DescribeMaster,
            "create_master_key" => CreateMasterKey,
            "delete_master_key" => DeleteMasterKey,
        }
        planned { }
    }
    /// What a realm decides about its webhooks.
    Webhook => WebhookAction {
        done {
            "levee_create_webhook" => CreateWebhook,
            "levee_describe_webhooks" => DescribeWebhooks,
            "levee_update_webhook" => UpdateWebhook,
            "levee_delete_webhook" => DeleteWebhook,
            "levee_test_webhook" => TestWebhook,
            "levee_describe_webhook_deliveries" => DescribeWebhookDeliveries,
            "levee_replay_webhook" => ReplayWebhook,
        }
        planned { }
    }
    /// What a realm, a queue or a channel decides about its members, by the id that is given.
    Member => MemberAction {
        done {
            "add_member" => AddMember,
            "update_member" => UpdateMember,
            "remove_member" => RemoveMember,
        }
        planned { }
    }
}

impl Action {
    /// Whether whoever has no session may do this too: an access key is all that it takes, or an address
    /// to which one is sent.
    pub fn is_open(&self) -> bool {
        matches!(
            self,
            Self::Access(AccessAction::DescribeAccess(_))
                | Self::Identity(
                    IdentityAction::VerifyIdentity(_)
                        | IdentityAction::ResetIdentityAuth(_)
                        | IdentityAction::RequestIdentityVerifyAccess(_)
                        | IdentityAction::RequestIdentityAuthResetAccess(_)
                )
        )
    }
}

fn malformed(error: &serde_json::Error) -> Rejection {
    // serde_json appends the position within our header, which means nothing to the sender.
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    Rejection::new(ErrorType::RequestMalformed).because(reason)
}

/// The parameters that any action may carry beside its own.
pub static COMMON: &[Parameter] = &[
    Parameter { name: "action_id", ty: "u64", required: false },
    Parameter { name: "session_id", ty: "Id", required: false },
    Parameter { name: "event_id", ty: "u64", required: false },
    Parameter { name: "frames", ty: "u64", required: false },
    Parameter { name: "puppet_id", ty: "Id", required: false },
];
