//! A part of a message's payload, as it is stored.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A part of a payload. Stored as JSON where it is JSON, else as text, else in base 64.
#[derive(Debug, Clone, PartialEq)]
pub struct Part(pub Bytes);

#[derive(Serialize)]
struct Stored<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    j: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    t: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<&'a [u8]>,
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = std::str::from_utf8(&self.0).ok();
        // Only text that is kept to the byte may go in as JSON: surrounding space would be lost, and
        // `null` would be read as no part at all.
        let json = text.filter(|text| text.trim().len() == text.len() && *text != "null");
        let json = json.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        let stored = match (json, text) {
            (Some(json), _) => Stored { j: Some(json), t: None, b: None },
            (None, Some(text)) => Stored { j: None, t: Some(text), b: None },
            (None, None) => Stored { j: None, t: None, b: Some(&self.0) },
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Owned {
            j: Option<Box<RawValue>>,
            t: Option<String>,
            b: Option<Vec<u8>>,
        }
        let stored = Owned::deserialize(deserializer)?;
        let bytes = match (stored.j, stored.t, stored.b) {
            (Some(json), ..) => Bytes::from(String::from(Box::<str>::from(json))),
            (_, Some(text), _) => Bytes::from(text),
            (_, _, Some(bytes)) => Bytes::from(bytes),
            _ => Bytes::new(),
        };
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_kept_to_the_byte_whatever_it_is() {
        for bytes in
            [&b"{\"text\": \"hi\\n\"}"[..], b" {} ", b"plain text", b"\xff\x00\x01", b"", b"12", b"null"]
        {
            let part = Part(Bytes::copy_from_slice(bytes));
            let stored = serde_json::to_string(&part).unwrap();
            assert_eq!(serde_json::from_str::<Part>(&stored).unwrap(), part, "{stored}");
        }
    }
}
