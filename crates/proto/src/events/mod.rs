//! The events that the server sends.

pub mod access;
pub mod conversation;
pub mod identity;
pub mod queue;
pub mod realm;
pub mod session;
pub mod user;
pub mod webhook;

pub use {access::*, conversation::*, identity::*, queue::*, realm::*, session::*, user::*, webhook::*};

use crate::catalog::EventInfo;

/// An event of the API.
pub trait Event: serde::Serialize {
    /// Its name on the wire.
    const NAME: &'static str;
}

/// Declares event structs: `Name = "wire_name" { required; optional }`.
macro_rules! events {
    ($( $(#[doc = $doc:literal])* $name:ident = $wire:literal {
        $($req:ident : $rty:ty),* $(,)? ; $($opt:ident : $oty:ty),* $(,)?
    } )*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
            pub struct $name {
                $( #[doc = concat!("`", stringify!($req), "`, always set.")] pub $req: $rty, )*
                $( #[doc = concat!("`", stringify!($opt), "`, set where it applies.")]
                   #[serde(default, skip_serializing_if = "Option::is_none")] pub $opt: Option<$oty>, )*
            }
            impl super::Event for $name { const NAME: &'static str = $wire; }
        )*
        /// The events of this family.
        pub(super) static FAMILY: &[crate::catalog::EventInfo] = &[ $( crate::catalog::EventInfo {
            name: $wire,
            summary: concat!($($doc),*),
            parameters: &[
                $( crate::catalog::Parameter { name: stringify!($req), ty: stringify!($rty), required: true }, )*
                $( crate::catalog::Parameter { name: stringify!($opt), ty: stringify!($oty), required: false }, )*
            ],
        }, )* ];
    };
}
pub(crate) use events;

/// Every event of the API, family by family.
pub fn all() -> impl Iterator<Item = &'static EventInfo> {
    [
        session::FAMILY,
        user::FAMILY,
        identity::FAMILY,
        realm::FAMILY,
        queue::FAMILY,
        conversation::FAMILY,
        access::FAMILY,
        webhook::FAMILY,
    ]
    .into_iter()
    .flatten()
}
