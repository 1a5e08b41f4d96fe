//! Rooms on a Jitsi server for video with more than two people, with tokens that its token authentication takes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use levee_proto::events::JitsiDiscovered;
use levee_proto::{Id, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;

/// How long a token opens its room, in seconds. Who is in it stays.
const TOKEN_TTL_S: u64 = 60 * 60;
/// How far the clock of the Jitsi server may be behind, in seconds.
const LEEWAY_S: u64 = 60;

/// Where rooms are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Jitsi {
    /// The host, with a port if it has one of its own; empty when there is none.
    pub domain: String,
    /// The `app_id` that the server knows us by.
    pub app_id: String,
    /// The `app_secret` that the server shares with us; empty when it asks for no tokens.
    pub secret: String,
}

/// What the owner of a channel or a queue says of its room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Its name.
    pub room: Id,
    /// Whether who asks may mute and remove others.
    pub moderator: bool,
    /// Who that is, and what they are called.
    #[serde(default)]
    pub who: Option<(Id, Option<Text>)>,
}

impl Jitsi {
    /// How a user gets into a room at a time, microseconds since 1970.
    pub fn discovered(&self, room: &Room, user: &Id, name: Option<&str>, now: u64) -> JitsiDiscovered {
        // Who knows the name may enter where no tokens are asked for; an id can't be guessed.
        let token = (!self.secret.is_empty()).then(|| self.token(room, user, name, now / 1_000_000));
        JitsiDiscovered {
            jitsi_domain: Some(self.domain.as_str().into()),
            jitsi_room: Some(room.room.clone()),
            jitsi_token: token,
        }
    }

    fn token(&self, room: &Room, user: &Id, name: Option<&str>, now_s: u64) -> Text {
        let host = self.domain.split(':').next().unwrap_or_default();
        let claims = json!({
            "aud": "jitsi",
            "iss": self.app_id,
            "sub": host,
            "room": room.room,
            "nbf": now_s.saturating_sub(LEEWAY_S),
            "exp": now_s + TOKEN_TTL_S,
            "moderator": room.moderator,
            "context": {"user": {"id": user, "name": name, "moderator": room.moderator}},
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&json!({"alg": "HS256", "typ": "JWT"})), encode(&claims));
        let digest = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes())
            .map(|mac| mac.chain_update(&signed).finalize().into_bytes().to_vec())
            // A key of any length is taken.
            .unwrap_or_default();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(digest)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn room() -> Room {
        Room { room: "00room".into(), moderator: true, who: None }
    }

    #[test]
    fn a_token_is_for_one_room_and_an_hour() {
        let jitsi =
            Jitsi { domain: "meet.example:8443".into(), app_id: "levee".into(), secret: "north".into() };
        let found = jitsi.discovered(&room(), &"00user".into(), Some("Ann"), 1_000_000_000_000_000);
        assert_eq!(found.jitsi_domain.as_deref(), Some("meet.example:8443"));
        assert_eq!(found.jitsi_room.as_deref(), Some("00room"));
        let token = found.jitsi_token.expect("a token");
        let [header, claims, digest] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
        let claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON");
        assert_eq!((&claims["sub"], &claims["room"]), (&json!("meet.example"), &json!("00room")));
        assert_eq!((&claims["exp"], &claims["nbf"]), (&json!(1_000_003_600), &json!(999_999_940)));
        assert_eq!(claims["context"]["user"], json!({"id": "00user", "name": "Ann", "moderator": true}));
        let signed = &token[..token.len() - digest.len() - 1];
        let mac = Hmac::<Sha256>::new_from_slice(b"north").expect("a key").chain_update(signed);
        assert!(mac.verify_slice(&URL_SAFE_NO_PAD.decode(digest).expect("base64")).is_ok(), "{header}");
    }

    #[test]
    fn a_server_that_asks_for_no_tokens_gets_none() {
        let jitsi = Jitsi { domain: "meet.example".into(), ..Jitsi::default() };
        assert_eq!(jitsi.discovered(&room(), &"00user".into(), None, 0).jitsi_token, None);
    }
}
