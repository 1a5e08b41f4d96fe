//! Signatures of webhooks: a document says which key signs it, until when it holds and for whom it is.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

/// A private key of Ed25519, with its name.
pub struct Signer {
    kid: String,
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Signer {
    /// Draws a new key, as a PKCS #8 document to be kept secret.
    pub fn draw() -> Option<Vec<u8>> {
        let drawn = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?;
        Some(drawn.as_ref().to_vec())
    }

    /// Reads a key; `None` if it is none.
    pub fn read(kid: &str, pkcs8: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).ok()?;
        Some(Self { kid: kid.to_owned(), pair })
    }

    /// Its name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key.
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// What is signed: an event for somebody, until a time in seconds since 1970.
    pub fn document(&self, aud: &str, exp: u64, event: &str, event_id: Option<&str>, body: Value) -> Bytes {
        let mut document = json!({"kid": self.kid, "exp": exp, "aud": aud, "event": event, event: body});
        if let Some(id) = event_id {
            document["event_id"] = id.into();
        }
        document.to_string().into()
    }

    /// The signature of a document, in lower-case hexadecimal digits.
    pub fn sign(&self, document: &[u8]) -> String {
        self.pair.sign(document).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A document with its signature around it, for receivers that don't see headers.
    pub fn wrap(&self, document: &[u8]) -> Bytes {
        let wrapped =
            json!({"wrapped": true, "signature": self.sign(document), "base64": STANDARD.encode(document)});
        wrapped.to_string().into()
    }
}

/// Public keys by name, as a set of JSON Web Keys.
pub fn public_keys<'a>(keys: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Value {
    let key = |(kid, public): (&str, &[u8])| {
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid,
            "x": URL_SAFE_NO_PAD.encode(public)})
    };
    json!({"keys": keys.into_iter().map(key).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// The second test of RFC 8032, section 7.1.
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let public = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public).unwrap();
        let signer = Signer { kid: "a".into(), pair };
        let expected = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                        085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        assert_eq!(signer.sign(&[0x72]), expected);
    }

    #[test]
    fn both_formats_verify_with_the_published_key_and_no_other() {
        let signer = Signer::read("chat.example.org/1", &Signer::draw().unwrap()).unwrap();
        let other = Signer::read("chat.example.org/2", &Signer::draw().unwrap()).unwrap();
        let document = signer.document("realm:r", 1_700, "message_sent", Some("e"), json!({"realm_id": "r"}));
        let read: Value = serde_json::from_slice(&document).unwrap();
        let expected = json!({"kid": "chat.example.org/1", "exp": 1_700, "aud": "realm:r", "event": "message_sent",
            "event_id": "e", "message_sent": {"realm_id": "r"}});
        assert_eq!(read, expected);
        let set = public_keys([("chat.example.org/1", signer.public())]);
        let public = URL_SAFE_NO_PAD.decode(set["keys"][0]["x"].as_str().unwrap()).unwrap();
        let wrapped: Value = serde_json::from_slice(&signer.wrap(&document)).unwrap();
        let inner = STANDARD.decode(wrapped["base64"].as_str().unwrap()).unwrap();
        assert_eq!((&wrapped["wrapped"], inner.as_slice()), (&json!(true), &document[..]));
        for (signature, holds) in [
            (signer.sign(&document), true),
            (wrapped["signature"].as_str().unwrap().to_owned(), true),
            (other.sign(&document), false),
        ] {
            let verified = UnparsedPublicKey::new(&ED25519, &public).verify(&document, &bytes(&signature));
            assert_eq!(verified.is_ok(), holds);
        }
        assert!(!format!("{signer:?}").contains("pair"));
        assert!(Signer::read("x", b"no key").is_none());
    }
}
