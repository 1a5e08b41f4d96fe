use super::*;
use actix_web::body::to_bytes;
use actix_web::http::header::HeaderValue;
use bytes::Bytes;
use levee_proto::events;

fn of(accept: &[&'static str]) -> Accepted {
    let mut headers = HeaderMap::new();
    accept.iter().for_each(|value| headers.append(ACCEPT, HeaderValue::from_static(value)));
    Accepted::of(&headers)
}

fn event(parts: &[&'static str]) -> (Arc<Body>, Option<u64>) {
    let parts = parts.iter().map(|part| Bytes::from_static(part.as_bytes())).collect();
    (Arc::new(Body::with_parts(&events::Pong::default(), parts)), None)
}

async fn said(outcome: Outcome, accept: &[&'static str]) -> (u16, String, Bytes) {
    let response = accepted(outcome, &of(accept));
    let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    (status, content_type.unwrap_or_default(), to_bytes(response.into_body()).await.unwrap())
}

#[test]
fn the_content_type_follows_what_is_accepted_and_what_there_is_to_say() {
    use Form::{Json, Octets, Protobuf};
    for (accept, plain, more) in [
        (&["application/json"][..], Some(Json), Some(Json)),
        (&["application/x-protobuf"], Some(Protobuf), Some(Protobuf)),
        (&["application/octet-stream"], Some(Octets), Some(Octets)),
        (&["application/json, application/x-protobuf"], Some(Json), Some(Protobuf)),
        (&["application/json", "application/x-protobuf"], Some(Json), Some(Protobuf)),
        (&["application/x-protobuf;q=1, application/json;q=0.1"], Some(Json), Some(Protobuf)),
        (&["application/json, application/octet-stream"], Some(Json), Some(Json)),
        (&["application/octet-stream, application/x-protobuf"], Some(Protobuf), Some(Protobuf)),
        (&["Application/JSON; charset=utf-8"], Some(Json), Some(Json)),
        (&["*/*"], Some(Json), Some(Protobuf)),
        (&["application/*"], Some(Json), Some(Protobuf)),
        (&["text/html, */*;q=0.8"], Some(Json), Some(Protobuf)),
        (&[], Some(Json), Some(Protobuf)),
        (&["*/*, application/x-protobuf;q=0"], Some(Json), Some(Json)),
        (&["application/x-protobuf;q=0.0, application/*"], Some(Json), Some(Json)),
        (&["application/json;q=0, application/*;q=0, */*"], None, None),
        (&["*/*;q=0"], None, None),
        (&["text/html"], None, None),
        (&["text/*, image/png"], None, None),
        (&[""], None, None),
        (&["json, application, /, ;q=1, ,,"], None, None),
        (&["application/json;q=much"], Some(Json), Some(Json)),
    ] {
        let accepted = of(accept);
        assert_eq!((accepted.choose(true), accepted.choose(false)), (plain, more), "{accept:?}");
    }
}

#[actix_rt::test]
async fn protobuf_carries_all_events_with_their_payloads() {
    let mut all = vec![event(&[]), event(&["a", "b"])];
    all[1].1 = Some(7);
    let (status, content_type, body) =
        said(Ok((all, Some(3))), &["application/json, application/x-protobuf"]).await;
    assert_eq!((status, content_type.as_str()), (200, "application/x-protobuf"));
    let header = r#"{"event":"pong","action_id":3}"#;
    let second = r#"{"event":"pong","action_id":3,"history_length":7}"#;
    let expected = [vec![Bytes::from(header)], vec![second.into(), "a".into(), "b".into()]];
    assert_eq!(framing::decode_response(body).unwrap(), expected);
}

#[actix_rt::test]
async fn json_and_octets_carry_the_header_of_the_first_event() {
    let all = || Ok((vec![event(&["a"]), event(&[])], Some(3)));
    let header = r#"{"event":"pong","action_id":3}"#;
    let (status, content_type, body) = said(all(), &["application/json"]).await;
    assert_eq!((status, content_type.as_str(), &body[..]), (200, "application/json", header.as_bytes()));
    let (status, content_type, mut body) = said(all(), &["application/octet-stream"]).await;
    assert_eq!((status, content_type.as_str()), (200, "application/octet-stream"));
    assert_eq!(framing::next_frame(&mut body).unwrap().unwrap(), header);
    assert!(body.is_empty());
}

#[actix_rt::test]
async fn without_an_accepted_content_type_the_status_tells() {
    for (outcome, status) in [
        (Ok((vec![event(&["a"])], None)), 204),
        (Err((Rejection::malformed("x"), None)), 400),
        (Err((Rejection::new(ErrorType::Internal), None)), 500),
    ] {
        assert_eq!(said(outcome, &["text/html"]).await, (status, String::new(), Bytes::new()));
    }
}

#[actix_rt::test]
async fn a_refusal_is_an_error_event_in_every_content_type() {
    let refused = || Err((Rejection::new(ErrorType::AccessDenied), Some(5)));
    let header = r#"{"event":"error","error_type":"access_denied","action_id":5}"#;
    assert_eq!(said(refused(), &["*/*"]).await.2, header);
    let (_, _, body) = said(refused(), &["application/x-protobuf"]).await;
    assert_eq!(framing::decode_response(body).unwrap(), [[Bytes::from(header)]]);
    let (_, _, mut body) = said(refused(), &["application/octet-stream"]).await;
    assert_eq!(framing::next_frame(&mut body).unwrap().unwrap(), header);
    let script = script(refused(), "f");
    assert_eq!(to_bytes(script.into_body()).await.unwrap(), format!("/**/f({header});"));
}
