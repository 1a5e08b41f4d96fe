//! Calls in all content types: how they are asked, compressed, answered and refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use levee_client::http::{Http, escape};
use levee_client::requests::{Caller, events};
use levee_client::session::Target;
use levee_proto::{framing, limits};
use serde_json::{Value, json};
use std::io::{Read, Write};
use support::people::Person;
use support::{LIMIT, Server, assert_error, within};

const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";
const PROTOBUF: &str = "application/x-protobuf";
const NONE: &[&[u8]] = &[];

/// A user with a channel, and a caller of the same user.
async fn room(server: &Server) -> (Person, String, Caller) {
    let ann = server.user("ann").await;
    let channel = ann.create_channel(json!({"name": "Room"})).await.unwrap();
    (ann, channel, caller(server))
}

fn caller(server: &Server) -> Caller {
    Caller::email(server.address(), "ann@example.org", "secret-ann")
}

fn credentials(mut header: Value) -> Value {
    header["caller_type"] = "email".into();
    header["caller_name"] = "ann@example.org".into();
    header["caller_auth"] = "secret-ann".into();
    header
}

fn frames(frames: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    frames.iter().for_each(|frame| framing::push_frame(&mut body, frame));
    body
}

fn zlib(body: impl Read) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    copy(body, &mut encoder);
    encoder.finish().unwrap()
}

fn gzip(body: impl Read) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    copy(body, &mut encoder);
    encoder.finish().unwrap()
}

fn copy(mut body: impl Read, encoder: &mut impl Write) {
    std::io::copy(&mut body, encoder).unwrap();
}

#[tokio::test]
async fn a_payload_of_several_parts_and_of_any_bytes_goes_in_frames_and_comes_in_protobuf() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut ann, channel, mut caller) = room(&server).await;
        let large = vec![b'z'; 70_000];
        let parts: [&[u8]; 4] = [b"\x00\xff\xfe", b"", b"text", &large];
        let message =
            json!({"channel_id": channel, "message_type": "example.org/x", "action_id": 7, "frames": 4});
        let sent = caller.frames("send_message", message, &parts).await.unwrap();
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].name(), sent[0].action_id()), ("message_received", Some(7)));
        assert_eq!((sent[0].event_id(), &sent[0]["frames"]), (None, &Value::Null));
        assert_eq!(sent[0].parts(), parts);
        let came = ann.events.find("the message", |event| event.str("message_type") == "example.org/x").await;
        assert_eq!(came.unwrap().parts(), parts);
    })
    .await;
}

#[tokio::test]
async fn a_history_comes_whole_in_protobuf_and_cut_to_its_first_header_in_json_and_octets() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, channel, mut caller) = room(&server).await;
        for text in ["one", "two"] {
            ann.send_text(&Target::Channel(channel.clone()), text).await.unwrap();
        }
        let wanted = json!({"channel_id": channel, "history_order": 1, "action_id": 3,
            "message_types": ["ninchat.com/text"]});
        let whole = caller.frames("load_history", wanted.clone(), NONE).await.unwrap();
        let names: Vec<_> = whole.iter().map(|event| event.name()).collect();
        assert_eq!(names, ["history_results", "message_received", "message_received"]);
        assert_eq!((whole[1].text().as_str(), whole[2].text().as_str()), ("one", "two"));
        let lengths: Vec<_> = whole.iter().map(|event| event["history_length"].clone()).collect();
        assert_eq!(lengths, [2, 1, 0]);
        assert!(whole.iter().all(|event| event.action_id() == Some(3) && event.event_id().is_none()));
        let body = caller.octets("load_history", &wanted, NONE);
        for accept in [JSON, OCTETS] {
            let response = caller.send(&[("Content-Type", OCTETS), ("Accept", accept)], &body).await.unwrap();
            assert_eq!((response.status, response.header("content-type")), (200, accept));
            assert_eq!(events(&response).unwrap(), whole[..1]);
        }
    })
    .await;
}

#[tokio::test]
async fn the_content_type_of_an_answer_follows_the_accept_header() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (_ann, channel, mut caller) = room(&server).await;
        let plain = caller.octets("describe_channel", &json!({"channel_id": channel}), NONE);
        let message = json!({"channel_id": channel, "message_type": "ninchat.com/text"});
        let with_payload = caller.octets("send_message", &message, &[br#"{"text":"x"}"#]);
        for (accept, for_plain, for_payload) in [
            (Some("application/json"), JSON, JSON),
            (Some("application/x-protobuf"), PROTOBUF, PROTOBUF),
            (Some("application/octet-stream"), OCTETS, OCTETS),
            (Some("application/json, application/x-protobuf"), JSON, PROTOBUF),
            (Some("application/x-protobuf;q=0, application/json;q=0.5"), JSON, JSON),
            (Some("*/*"), JSON, PROTOBUF),
            (None, JSON, PROTOBUF),
        ] {
            for (body, name, content_type) in
                [(&plain, "channel_found", for_plain), (&with_payload, "message_received", for_payload)]
            {
                let mut headers = vec![("Content-Type", OCTETS)];
                headers.extend(accept.map(|accept| ("Accept", accept)));
                let response = caller.send(&headers, body).await.unwrap();
                assert_eq!(response.header("content-type"), content_type, "{accept:?} {name}");
                assert_eq!(response.header("access-control-allow-origin"), "*", "{accept:?}");
                let said = events(&response).unwrap();
                assert_eq!((said.len(), said[0].name()), (1, name), "{accept:?}");
                let payload = usize::from(content_type == PROTOBUF && name == "message_received");
                assert_eq!(said[0].parts().len(), payload, "{accept:?} {name}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn who_accepts_nothing_supported_gets_no_data_and_the_action_takes_effect() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut ann, channel, mut caller) = room(&server).await;
        let headers = [("Content-Type", OCTETS), ("Accept", "text/html, application/json;q=0")];
        let message = json!({"channel_id": channel, "message_type": "ninchat.com/text"});
        let body = caller.octets("send_message", &message, &[br#"{"text":"unheard"}"#]);
        let response = caller.send(&headers, &body).await.unwrap();
        assert_eq!((response.status, response.body.len()), (204, 0));
        ann.events.find("the text", |event| event.text() == "unheard").await.unwrap();
        let body = caller.octets("describe_channel", &json!({"channel_id": "00unknown0000000000"}), NONE);
        let response = caller.send(&headers, &body).await.unwrap();
        assert_eq!((response.status, response.body.len()), (400, 0));
    })
    .await;
}

#[tokio::test]
async fn a_get_request_is_answered_in_what_it_accepts_or_by_its_callback() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (_ann, channel, _) = room(&server).await;
        let mut http = Http::new(server.address());
        let message = credentials(json!({"action": "send_message", "channel_id": channel,
            "message_type": "ninchat.com/text", "payload": {"text": "got"}}));
        let path = format!("/v2/call?data={}", escape(&message.to_string()));
        let headers = [("Accept", PROTOBUF)];
        let said = events(&http.request("GET", &path, &headers, b"").await.unwrap()).unwrap();
        assert_eq!((said[0].name(), said[0].text().as_str()), ("message_received", "got"));
        let response = http.request("GET", &format!("{path}&callback=done"), &headers, b"").await.unwrap();
        assert!(response.header("content-type").starts_with("application/javascript"));
        assert!(response.text().starts_with("/**/done({\"event\":\"message_received\","), "{response:?}");
        let response = http.get(&format!("{path}&callback=alert(1)")).await.unwrap();
        assert_eq!(response.status, 400);
    })
    .await;
}

#[tokio::test]
async fn a_body_may_be_compressed() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut ann, channel, mut caller) = room(&server).await;
        let message = json!({"channel_id": channel, "message_type": "ninchat.com/text"});
        for (encoding, pack) in
            [("deflate", (|body| zlib(body)) as fn(&[u8]) -> Vec<u8>), ("gzip", |body| gzip(body))]
        {
            for content_type in [JSON, OCTETS] {
                let text = format!("{encoding} of {content_type}: {}", "x".repeat(10_000));
                let payload = json!({ "text": text });
                let body = if content_type == OCTETS {
                    caller.octets("send_message", &message, &[payload.to_string()])
                } else {
                    let mut header = credentials(message.clone());
                    header["action"] = "send_message".into();
                    header["payload"] = payload;
                    header.to_string().into_bytes()
                };
                let headers =
                    [("Content-Type", content_type), ("Content-Encoding", encoding), ("Accept", JSON)];
                let packed = pack(&body);
                assert!(packed.len() < body.len() / 10);
                let said = events(&caller.send(&headers, &packed).await.unwrap()).unwrap();
                assert_eq!(said[0].name(), "message_received", "{encoding} {content_type}: {said:?}");
                ann.events.find("the text", |event| event.text() == text).await.unwrap();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn unknown_content_types_and_encodings_are_unsupported() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut caller = Caller::anonymous(server.address());
        let ping = br#"{"action":"ping"}"#;
        // Protobuf is for answers: there is no message for an action.
        for content_type in ["text/plain", "application/xml", PROTOBUF, "", "application/json+x"] {
            let response = caller.body(content_type, ping).await.unwrap();
            assert_eq!(response.status, 415, "{content_type}");
            assert!(response.text().contains(OCTETS), "{}", response.text());
            assert_eq!(response.header("access-control-allow-origin"), "*");
        }
        assert_eq!(caller.send(&[], ping).await.unwrap().status, 415);
        for encoding in ["br", "zstd", "compress", "gzip, gzip", "x"] {
            let headers = [("Content-Type", JSON), ("Content-Encoding", encoding)];
            let response = caller.send(&headers, ping).await.unwrap();
            assert_eq!(response.status, 415, "{encoding}");
            assert_eq!(response.header("accept-encoding"), "deflate, gzip");
        }
        assert_eq!(caller.post("ping", json!({})).await.unwrap().name(), "pong");
    })
    .await;
}

#[tokio::test]
async fn a_compressed_body_that_is_cut_off_changed_or_a_bomb_is_refused() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut caller = Caller::anonymous(server.address());
        let ping = br#"{"action":"ping","padding":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#;
        for (encoding, whole) in [("deflate", zlib(&ping[..])), ("gzip", gzip(&ping[..]))] {
            let headers = [("Content-Type", JSON), ("Content-Encoding", encoding)];
            assert_eq!(events(&caller.send(&headers, &whole).await.unwrap()).unwrap()[0].name(), "pong");
            let mut changed = whole.clone();
            *changed.last_mut().unwrap() ^= 1;
            let ends = [0, 1, 2, 10, whole.len() / 2, whole.len() - 5, whole.len() - 1];
            let cut = ends.map(|end| whole[..end].to_vec());
            for bad in cut.into_iter().chain([changed, ping.to_vec(), [&whole[..], b"x"].concat()]) {
                let response = caller.send(&headers, &bad).await.unwrap();
                assert_eq!(
                    (response.status, response.text().contains("decompress")),
                    (400, true),
                    "{bad:x?}"
                );
            }
        }
        let zeros = || std::io::repeat(0).take(128 << 20);
        for (encoding, bomb) in [("deflate", zlib(zeros())), ("gzip", gzip(zeros()))] {
            assert!(bomb.len() < 1 << 20, "it comes in one piece");
            let headers = [("Content-Type", OCTETS), ("Content-Encoding", encoding)];
            assert_eq!(caller.send(&headers, &bomb).await.unwrap().status, 413, "{encoding}");
        }
        assert_eq!(caller.post("ping", json!({})).await.unwrap().name(), "pong");
    })
    .await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut caller = Caller::anonymous(server.address());
        let most =
            limits::HEADER_BYTES + limits::PAYLOAD_BYTES + (limits::PARTS + 1) * framing::OVERHEAD_BYTES;
        let response = caller.body(OCTETS, &vec![b' '; most]).await.unwrap();
        assert_error(&events(&response).unwrap()[0], "request_malformed", None);
        for content_type in [JSON, OCTETS] {
            let response = caller.body(content_type, &vec![b' '; most + 1]).await.unwrap();
            assert_eq!(response.status, 413, "{content_type}");
        }
        assert_eq!(caller.post("ping", json!({})).await.unwrap().name(), "pong");
    })
    .await;
}

#[tokio::test]
async fn frames_that_are_none_or_too_many_or_too_long_are_an_error_of_the_protocol() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (_ann, channel, mut caller) = room(&server).await;
        let header = credentials(json!({"action": "send_message", "channel_id": channel,
            "message_type": "example.org/x", "action_id": 5}))
        .to_string();
        let header = header.as_bytes();
        let begun = frames(&[header]);
        let after = |rest: &[u8]| [&begun, rest].concat();
        let part = vec![b'x'; limits::PART_BYTES];
        let many: Vec<&[u8]> = std::iter::once(header).chain([&b"x"[..]; limits::PARTS + 1]).collect();
        for (why, body, error, action_id) in [
            ("no frame", Vec::new(), "request_malformed", None),
            ("an empty header", frames(&[b"", b"x"]), "request_malformed", None),
            ("JSON without frames", header.to_vec(), "request_malformed", None),
            (
                "a header larger than the body",
                b"\x7d{\"action\":\"ping\"}".to_vec(),
                "request_malformed",
                None,
            ),
            (
                "a header of 2^63 - 1",
                b"\x7f\x7f\xff\xff\xff\xff\xff\xff\xff{}".to_vec(),
                "request_malformed",
                None,
            ),
            (
                "a header of 2^64 - 1",
                b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff{}".to_vec(),
                "request_malformed",
                None,
            ),
            ("half a size", b"\x7e\x01".to_vec(), "request_malformed", None),
            ("a part larger than the body", after(b"\x05abcd"), "request_malformed", Some(5)),
            ("a negative part", after(b"\xffabcd"), "request_malformed", Some(5)),
            ("a header that is no JSON", frames(&[b"nonsense", b"x"]), "request_malformed", None),
            ("a header that is no object", frames(&[b"[]", b"x"]), "request_malformed", None),
            ("a header that is no text", frames(&[b"{\"action\":\"\xff\xfe\"}"]), "request_malformed", None),
            ("a long header", frames(&[&vec![b' '; limits::HEADER_BYTES + 1]]), "request_malformed", None),
            ("too many frames", frames(&many), "payload_has_too_many_parts", Some(5)),
            ("a long part", frames(&[header, &[&part[..], b"x"].concat()]), "message_part_too_long", Some(5)),
            ("a long payload", frames(&[header, &part, &part, b"x"]), "message_too_long", Some(5)),
            ("no part", begun.clone(), "message_malformed", Some(5)),
        ] {
            let response = caller.body(OCTETS, &body).await.unwrap();
            assert_eq!(response.status, 200, "{why}");
            let said = events(&response).unwrap();
            let told = (said[0].name(), said[0].error_type(), said[0].action_id());
            assert_eq!(told, ("error", error, action_id), "{why}");
        }
        for count in ["-1", "1.5", "0", "2", "4294967295"] {
            let header = format!(r#"{{"action":"send_message","action_id":6,"frames":{count}}}"#);
            let response = caller.body(OCTETS, &frames(&[header.as_bytes(), b"x"])).await.unwrap();
            assert_error(&events(&response).unwrap()[0], "request_malformed", Some(6));
        }
        let history = json!({"channel_id": channel, "message_types": ["example.org/x"]});
        let history = caller.frames("load_history", history, NONE).await.unwrap();
        assert_eq!((history.len(), &history[0]["history_length"]), (1, &json!(0)), "nothing was sent");
    })
    .await;
}
