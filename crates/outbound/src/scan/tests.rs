use super::http::{Says, says};
use super::*;
use futures_util::{StreamExt as _, stream};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

/// So many bytes, in pieces.
fn contents(size: usize) -> Contents {
    const PIECE: usize = 64 << 10;
    let pieces = (0..size).step_by(PIECE).map(move |at| Ok(Bytes::from(vec![b'x'; PIECE.min(size - at)])));
    stream::iter(pieces).boxed()
}

async fn scan(scanner: &str, size: usize) -> Result<bool, String> {
    Scanner::read(scanner).unwrap().scan(size as u64, contents(size)).await
}

#[test]
fn a_scanner_is_a_command_or_an_address() {
    for text in ["/usr/bin/scan", "scan --quiet 'a b'", "http://scan.example/x?y=1", "https://10.0.0.1:8080/"]
    {
        assert!(Scanner::read(text).is_ok(), "{text}");
    }
    for (text, wanted) in [
        ("http://", NoScanner::Address),
        ("http://user@scan.example/", NoScanner::Address),
        ("https://:word@scan.example/", NoScanner::Address),
        ("https://scan.example/#x", NoScanner::Address),
        ("scan 'a", NoScanner::Command),
        (" ", NoScanner::Command),
        ("''", NoScanner::Command),
    ] {
        assert_eq!(Scanner::read(text).err(), Some(wanted), "{text}");
    }
}

#[test]
fn what_a_status_says() {
    for (status, wanted) in [
        (200, Says::Clean),
        (204, Says::Clean),
        (302, Says::Nothing),
        (400, Says::Refused),
        (406, Says::Refused),
        (408, Says::Nothing),
        (422, Says::Refused),
        (429, Says::Nothing),
        (500, Says::Nothing),
        (503, Says::Nothing),
    ] {
        assert_eq!(says(status), wanted, "{status}");
    }
}

#[tokio::test]
async fn a_command_gets_every_byte_and_says_by_its_end_what_it_found() {
    let size = 3_000_001;
    assert_eq!(scan(&format!("sh -c 'test $(wc -c) -eq {size}'"), size).await, Ok(true));
    assert_eq!(scan(&format!("sh -c 'test $(wc -c) -eq {size}'"), size + 1).await, Ok(false));
    assert_eq!(scan("sh -c 'cat > /dev/null'", 0).await, Ok(true));
    // Whoever has seen enough need not take the rest.
    assert_eq!(scan("false", size).await, Ok(false));
    for unsure in ["sh -c 'exit 2'", "sh -c 'kill -9 $$'", "/there/is/no/such/program"] {
        assert!(scan(unsure, size).await.is_err(), "{unsure}");
    }
}

#[tokio::test]
async fn what_is_cut_off_is_never_clean() {
    let cut = || stream::iter([Ok(Bytes::from_static(b"x")), Err(io::Error::other("gone"))]).boxed();
    let said = Scanner::read("sh -c 'cat > /dev/null'").unwrap().scan(2, cut()).await;
    assert_eq!(said, Err("gone".to_owned()));
    // A server has promised nothing before it has everything.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/scan", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            kept.push(stream);
        }
    });
    let said = scan(&url, 64 << 20).await;
    assert!(said.is_err(), "{said:?}");
}
