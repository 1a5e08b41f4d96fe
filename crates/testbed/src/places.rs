//! A file of places in MaxMind's format, as small as one can be: a search tree over the bits of addresses, what it
//! leads to, and how to read both.

use std::net::Ipv4Addr;

/// Networks of IPv4, each with what a file says of it, as JSON without `null`; none lies within another.
pub fn places(networks: &[(Ipv4Addr, u8, serde_json::Value)]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut nodes: Vec<[Leaf; 2]> = vec![[Leaf::Nothing; 2]];
    for (address, prefix, place) in networks {
        let at = data.len();
        write(&mut data, place);
        // IPv4 is in IPv6, behind 96 bits that are not set.
        let bits = u128::from(address.to_bits());
        let last = 96 + u32::from(*prefix) - 1;
        let mut node = 0;
        for depth in 0..=last {
            let bit = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth == last {
                nodes[node][bit] = Leaf::Data(at);
                break;
            }
            node = match nodes[node][bit] {
                Leaf::Node(next) => next,
                Leaf::Nothing | Leaf::Data(_) => {
                    nodes.push([Leaf::Nothing; 2]);
                    let next = nodes.len() - 1;
                    nodes[node][bit] = Leaf::Node(next);
                    next
                }
            };
        }
    }
    let count = nodes.len();
    let mut file = Vec::new();
    for leaf in nodes.iter().flatten() {
        let value = match leaf {
            Leaf::Nothing => count,
            Leaf::Node(next) => *next,
            Leaf::Data(at) => count + SEPARATOR + at,
        };
        file.extend((value as u32).to_be_bytes());
    }
    file.extend([0; SEPARATOR]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    metadata(&mut file, count as u32);
    file
}

/// How the rest of the file is read.
fn metadata(out: &mut Vec<u8>, nodes: u32) {
    const U16: u8 = 5;
    const U32: u8 = 6;
    const U64: u8 = 9;
    let number = |name: &str, kind: u8, bytes: &[u8]| {
        let mut entry = Vec::new();
        write(&mut entry, &name.into());
        head(&mut entry, kind, bytes.len());
        entry.extend(bytes);
        entry
    };
    let entries = [
        number("node_count", U32, &nodes.to_be_bytes()),
        number("record_size", U16, &32_u16.to_be_bytes()),
        number("ip_version", U16, &6_u16.to_be_bytes()),
        number("binary_format_major_version", U16, &2_u16.to_be_bytes()),
        number("binary_format_minor_version", U16, &0_u16.to_be_bytes()),
        number("build_epoch", U64, &1_700_000_000_u64.to_be_bytes()),
    ];
    let texts = [
        ("database_type", serde_json::json!("Test-City")),
        ("languages", serde_json::json!(["en"])),
        ("description", serde_json::json!({"en": "for tests"})),
    ];
    head(out, 7, entries.len() + texts.len());
    out.extend(entries.concat());
    for (name, value) in texts {
        write(out, &name.into());
        write(out, &value);
    }
}

/// Zeros between the tree and what it leads to.
const SEPARATOR: usize = 16;

/// Where a bit leads.
#[derive(Clone, Copy)]
enum Leaf {
    Nothing,
    Node(usize),
    Data(usize),
}

/// A value, with its type and size before it.
fn write(out: &mut Vec<u8>, value: &serde_json::Value) {
    match value {
        serde_json::Value::String(text) => {
            head(out, 2, text.len());
            out.extend(text.as_bytes());
        }
        serde_json::Value::Number(number) => {
            head(out, 3, 8);
            out.extend(number.as_f64().unwrap_or_default().to_be_bytes());
        }
        serde_json::Value::Array(items) => {
            head(out, 11, items.len());
            items.iter().for_each(|item| write(out, item));
        }
        serde_json::Value::Object(entries) => {
            head(out, 7, entries.len());
            for (key, value) in entries {
                write(out, &key.as_str().into());
                write(out, value);
            }
        }
        serde_json::Value::Bool(truth) => head(out, 14, usize::from(*truth)),
        serde_json::Value::Null => {}
    }
}

fn head(out: &mut Vec<u8>, kind: u8, size: usize) {
    let (short, more) = if size < 29 { (size as u8, None) } else { (29, Some((size - 29) as u8)) };
    // Kinds beyond seven have a byte of their own.
    match kind {
        0..=7 => out.push(kind << 5 | short),
        _ => out.extend([short, kind - 7]),
    }
    out.extend(more);
}
