//! Servers that help two browsers find a way to each other, with credentials that expire.
//!
//! Credentials follow the convention that coturn calls `use-auth-secret`: the name is the time at which they
//! end, before whom they are for; the password is a digest of the name under a secret that the server shares.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use levee_proto::events::IceBegun;
use levee_proto::{Id, Object};
use serde_json::{Value, json};
use sha1::Sha1;

/// Which servers there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IceServers {
    /// Addresses: `stun:`, `stuns:`, `turn:` and `turns:`.
    pub urls: Vec<String>,
    /// What TURN servers share with us; empty when they ask for no credentials of this kind.
    pub secret: String,
    /// For how many seconds credentials hold.
    pub ttl_s: u64,
}

impl IceServers {
    /// What a user is told at a time, microseconds since 1970.
    pub fn begun(&self, user: &Id, now: u64) -> IceBegun {
        let (turn, stun): (Vec<&str>, Vec<&str>) =
            self.urls.iter().map(String::as_str).partition(|url| url.starts_with("turn"));
        let server = |urls: Vec<&str>| Object::from_iter([("urls".to_owned(), json!(urls))]);
        let mut turn_servers = Vec::new();
        if !turn.is_empty() {
            let mut entry = server(turn);
            if !self.secret.is_empty() {
                let (username, credential) = self.credential(user, now);
                entry.insert("username".into(), Value::String(username));
                entry.insert("credential".into(), Value::String(credential));
            }
            turn_servers.push(entry);
        }
        let stun_servers = if stun.is_empty() { Vec::new() } else { vec![server(stun)] };
        IceBegun { stun_servers, turn_servers }
    }

    fn credential(&self, user: &Id, now: u64) -> (String, String) {
        let username = format!("{}:{user}", now / 1_000_000 + self.ttl_s);
        let digest = Hmac::<Sha1>::new_from_slice(self.secret.as_bytes())
            .map(|mac| mac.chain_update(username.as_bytes()).finalize().into_bytes().to_vec())
            // A key of any length is taken.
            .unwrap_or_default();
        (username, STANDARD.encode(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> IceServers {
        let urls = ["stun:a.example:3478", "turn:b.example:3478?transport=tcp", "turns:c.example:5349"];
        IceServers { urls: urls.map(str::to_owned).to_vec(), secret: "north".into(), ttl_s: 3_600 }
    }

    #[test]
    fn credentials_are_what_a_turn_server_with_the_same_secret_computes() {
        let begun = servers().begun(&"0012".into(), 1_000_000_000_000_000);
        assert_eq!(begun.turn_servers.len(), 1);
        let turn = &begun.turn_servers[0];
        assert_eq!(turn["username"], "1000003600:0012");
        // printf 1000003600:0012 | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(turn["credential"], "CWgG9cbSyvEAszuDFnZbsjQs2fA=");
        assert_eq!(turn["urls"], json!(["turn:b.example:3478?transport=tcp", "turns:c.example:5349"]));
    }

    #[test]
    fn stun_servers_come_without_credentials_and_nothing_comes_of_nothing() {
        let begun = servers().begun(&"0012".into(), 0);
        assert_eq!(Value::Object(begun.stun_servers[0].clone()), json!({"urls": ["stun:a.example:3478"]}));
        let none = IceServers::default().begun(&"0012".into(), 0);
        assert!(none.stun_servers.is_empty() && none.turn_servers.is_empty());
    }
}
