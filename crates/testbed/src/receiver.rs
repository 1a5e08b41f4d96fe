//! A receiver of webhooks: an HTTPS server on a port of its own that keeps what it takes, and can be slow, fail, hang
//! and be away.

use crate::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// What the receiver does with a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// It takes it, and answers challenges.
    #[default]
    Take,
    /// It answers with this status, and with after how many seconds it wants to be asked again.
    Refuse(u16, Option<u64>),
    /// It takes it, after a while.
    Slow(Duration),
    /// It takes it, and never answers: the connection just ends after a while.
    TakeAndHang(Duration),
    /// It hangs up before there is a connection.
    Away,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The first line and the headers, their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body, to the byte.
    pub body: Vec<u8>,
    /// The status that it got; 0 if there was no answer.
    pub status: u16,
}

impl Received {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The document in it, wrapped or not.
    pub fn document(&self) -> Value {
        let json = self.json();
        match json["base64"].as_str().and_then(|text| STANDARD.decode(text).ok()) {
            None => json,
            Some(inner) => serde_json::from_slice(&inner).unwrap_or_default(),
        }
    }
}

type Decide = dyn Fn(&Received) -> Behaviour + Send + Sync;

struct Shared {
    received: Mutex<Vec<Received>>,
    news: Condvar,
    decide: Mutex<Arc<Decide>>,
    tls: Arc<ServerConfig>,
    ends: AtomicBool,
}

/// A receiver; it is gone when this is dropped.
pub struct Receiver {
    address: SocketAddr,
    certificate: PathBuf,
    shared: Arc<Shared>,
    _folder: tempfile::TempDir,
}

impl Receiver {
    /// Starts one that takes everything.
    ///
    /// # Errors
    /// When there is no port, folder or certificate for it.
    pub fn start() -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| error.to_string();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).map_err(|e| failed(&e))?;
        let folder = tempfile::tempdir().map_err(|e| failed(&e))?;
        let certificate = folder.path().join("receiver.pem");
        std::fs::write(&certificate, made.cert.pem()).map_err(|e| failed(&e))?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(|e| failed(&e))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|tls| tls.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key))
            .map_err(|e| failed(&e))?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| failed(&e))?;
        let address = listener.local_addr().map_err(|e| failed(&e))?;
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            news: Condvar::new(),
            decide: Mutex::new(Arc::new(|_: &Received| Behaviour::Take)),
            tls: Arc::new(tls),
            ends: AtomicBool::new(false),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.ends.load(Ordering::Relaxed) {
                    return;
                }
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        Ok(Self { address, certificate, shared, _folder: folder })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/hook", self.address.port())
    }

    /// The file of the certificate by which it is known.
    pub fn certificate(&self) -> &std::path::Path {
        &self.certificate
    }

    /// From now on it decides so; a request that is decided about before it is there is empty.
    pub fn behave(&self, decide: impl Fn(&Received) -> Behaviour + Send + Sync + 'static) {
        *lock(&self.shared.decide) = Arc::new(decide);
    }

    /// What came so far, in its order.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// Waits until what came is enough; false if it is not in time.
    pub fn wait(&self, limit: Duration, enough: impl Fn(&[Received]) -> bool) -> bool {
        let until = Instant::now() + limit;
        let mut received = lock(&self.shared.received);
        while !enough(&received) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.news.wait_timeout(received, left);
            received = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        // The listener waits for somebody.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn decide(&self, received: &Received) -> Behaviour {
        let decide = lock(&self.decide).clone();
        decide(received)
    }

    fn serve(&self, stream: TcpStream) {
        let nothing = Received { headers: BTreeMap::new(), body: Vec::new(), status: 0 };
        if self.decide(&nothing) == Behaviour::Away {
            return;
        }
        let _ = stream.set_read_timeout(Some(SILENCE));
        let Ok(connection) = ServerConnection::new(self.tls.clone()) else { return };
        let mut stream = BufReader::new(StreamOwned::new(connection, stream));
        let Some(mut received) = read(&mut stream) else { return };
        let (status, further, wait) = match self.decide(&received) {
            Behaviour::Away => return,
            Behaviour::Refuse(status, retry_after) => (status, retry_after, Duration::ZERO),
            Behaviour::Take => (200, None, Duration::ZERO),
            Behaviour::Slow(wait) => (200, None, wait),
            Behaviour::TakeAndHang(wait) => (0, None, wait),
        };
        received.status = status;
        let challenge = received.document()["webhook_verification"].take();
        // What is taken is taken now, whenever it is answered.
        lock(&self.received).push(received);
        self.news.notify_all();
        std::thread::sleep(wait);
        if status == 0 {
            return;
        }
        let body = match challenge {
            Value::Null => String::new(),
            challenge => json!({"aud": "https://ninchat.com", "webhook_verification": challenge}).to_string(),
        };
        let retry = further.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{retry}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = stream.get_mut();
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
        let _ = stream.flush();
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}

fn read(stream: &mut impl BufRead) -> Option<Received> {
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or(("", line));
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length: u64 = headers.get("content-length")?.parse().ok()?;
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body).ok()?;
    (body.len() as u64 == length).then_some(Received { headers, body, status: 0 })
}
