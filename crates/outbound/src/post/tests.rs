use super::*;
use crate::exchange::ANSWER;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A receiver that answers one request with some bytes, and gives back what it got.
async fn receiver(answer: Option<String>) -> (String, Poster, tokio::task::JoinHandle<String>) {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = certified.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/hook?x=1", listener.local_addr().unwrap().port());
    let got = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(tls)).accept(stream).await else {
            return String::new();
        };
        let mut got = Vec::new();
        while !got.ends_with(b"{}") {
            if stream.read_buf(&mut got).await.unwrap() == 0 {
                break;
            }
        }
        match answer {
            Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
            None => tokio::time::sleep(WHOLE).await,
        }
        String::from_utf8(got).unwrap()
    });
    let allow_private = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    let reach = Reach { allow_private, ..Reach::default() };
    (url, Poster::new(reach, vec![certificate]).unwrap(), got)
}

fn answer(head: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

#[tokio::test]
async fn a_receiver_gets_the_document_and_its_answer_comes_back() {
    let (url, poster, got) = receiver(answer("200 OK\r\nContent-Type: application/json", "{\"a\":1}")).await;
    let headers = [("X-Ninchat-Format", "default")];
    let answered = poster.post(&url, &headers, Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!((answered.status, answered.content_type.as_str()), (200, "application/json"));
    assert_eq!(answered.body.as_deref(), Some(&b"{\"a\":1}"[..]));
    let got = got.await.unwrap().to_lowercase();
    assert!(got.starts_with("post /hook?x=1 http/1.1\r\nhost: localhost:"), "{got}");
    for header in ["user-agent: ninchat-webhook/1 (levee/", "x-ninchat-format: default", "charset=utf-8"] {
        assert!(got.contains(header), "{header}: {got}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_wish_to_wait_is_told() {
    let (url, poster, _got) = receiver(answer("302 Found\r\nLocation: http://127.0.0.1/", "")).await;
    assert_eq!(poster.post(&url, &[], Bytes::from_static(b"{}")).await.unwrap().status, 302);
    let (url, poster, _got) = receiver(answer("503 Busy\r\nRetry-After: 7", "")).await;
    let answered = poster.post(&url, &[], Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!((answered.status, answered.retry_after), (503, Some(7)));
}

#[tokio::test]
async fn a_long_answer_is_cut_off_and_a_late_one_is_not_waited_for() {
    let (url, poster, _got) = receiver(answer("200 OK", &"x".repeat(ANSWER + 1))).await;
    let answered = poster.post(&url, &[], Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!((answered.status, answered.body), (200, None));
    let (url, mut poster, _got) = receiver(None).await;
    poster.whole = Duration::from_millis(300);
    let failed = poster.post(&url, &[], Bytes::from_static(b"{}")).await.unwrap_err();
    assert!(matches!(failed, Failed::Answer(_)), "{failed}");
}

#[tokio::test]
async fn nobody_is_trusted_without_a_certificate_nor_reached_inside() {
    let (url, poster, _got) = receiver(answer("200 OK", "")).await;
    let distrusts = Poster::new(poster.reach.clone(), Vec::new()).unwrap();
    let failed = distrusts.post(&url, &[], Bytes::from_static(b"{}")).await.unwrap_err();
    assert!(matches!(failed, Failed::Connect(_)), "{failed}");
    let outside = Poster::new(Reach::default(), Vec::new()).unwrap();
    let failed = outside.post(&url, &[], Bytes::from_static(b"{}")).await.unwrap_err();
    assert_eq!(failed, Failed::Unreachable(Unreachable::Private));
}
