//! What a customer's server does with a master key: it signs actions, makes tokens, encrypts metadata.

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use std::time::{SystemTime, UNIX_EPOCH};

/// A key, as its owner keeps it.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) id: String,
    pub(crate) secret: Vec<u8>,
}

/// In so many seconds, as a Unix time.
pub(crate) fn in_seconds(seconds: i64) -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs() as i64 + seconds
}

impl Signer {
    /// A key by its id and its secret in base64.
    pub(crate) fn new(id: &str, secret: &str) -> Self {
        Self { id: id.to_owned(), secret: STANDARD.decode(secret).expect("base64") }
    }

    /// A key of a type that has its own ids and secrets.
    pub(crate) fn random(id: &str) -> Self {
        Self { id: id.to_owned(), secret: rand::random::<[u8; 32]>().to_vec() }
    }

    /// The secret in base64.
    pub(crate) fn base64(&self) -> String {
        STANDARD.encode(&self.secret)
    }

    /// Signs parameters, in the serialisation that can stand in an address.
    pub(crate) fn sign(&self, parameters: Value, expire: i64, bound: bool) -> String {
        let nonce = format!("{:016x}", rand::random::<u64>());
        let digest = URL_SAFE_NO_PAD.encode(self.digest(parameters, expire, &nonce));
        format!("{}.{expire}.{nonce}.{digest}.{}", self.id, if bound { "1" } else { "" })
    }

    /// Signs parameters in the older serialisation.
    pub(crate) fn sign_in_old_form(&self, parameters: Value, expire: i64, bound: bool) -> String {
        let nonce = format!("{:016x}", rand::random::<u64>());
        let digest = STANDARD.encode(self.digest(parameters, expire, &nonce));
        format!("{}-{expire}-{nonce}-{digest}{}", self.id, if bound { "-1" } else { "" })
    }

    fn digest(&self, parameters: Value, expire: i64, nonce: &str) -> Vec<u8> {
        let mut pairs: Vec<(String, Value)> = match parameters {
            Value::Object(parameters) => parameters.into_iter().collect(),
            _ => Vec::new(),
        };
        pairs.push(("expire".into(), expire.into()));
        pairs.push(("nonce".into(), nonce.into()));
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mac = Hmac::<Sha512>::new_from_slice(&self.secret).expect("a key");
        mac.chain_update(json!(pairs).to_string()).finalize().into_bytes().to_vec()
    }

    /// Encrypts metadata in the original encoding.
    pub(crate) fn encrypt(&self, metadata: &Value, user_id: Option<&str>, expire: i64) -> String {
        let mut plain = json!({"expire": expire, "metadata": metadata});
        if let Some(user_id) = user_id {
            plain["user_id"] = user_id.into();
        }
        let text = plain.to_string();
        let mut bytes = Sha512::digest(&text).to_vec();
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        let iv: [u8; 16] = rand::random();
        let aes = cbc::Encryptor::<aes::Aes256>::new_from_slices(&self.secret, &iv).expect("a key");
        let sealed = aes.encrypt_padded_vec::<NoPadding>(&bytes);
        format!("{}.{}", self.id, URL_SAFE_NO_PAD.encode([&iv[..], &sealed].concat()))
    }

    /// A token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": "HS256", "kid": self.id, "typ": "JWT"});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("a key").chain_update(&signed);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// A token with encrypted claims.
    pub(crate) fn encrypted_token(&self, claims: &Value) -> String {
        let header = json!({"alg": "dir", "enc": "A256GCM", "kid": self.id});
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let iv: [u8; 12] = rand::random();
        let aes = Aes256Gcm::new_from_slice(&self.secret).expect("a key");
        let plain = claims.to_string();
        let payload = Payload { msg: plain.as_bytes(), aad: header.as_bytes() };
        let mut sealed = aes.encrypt(&Nonce::from(iv), payload).expect("to encrypt");
        let tag = sealed.split_off(sealed.len() - 16);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!("{header}..{}.{}.{}", encode(&iv), encode(&sealed), encode(&tag))
    }
}
