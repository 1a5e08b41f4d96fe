//! A mail server: it speaks SMTP on a port of its own, keeps what it takes, and refuses what it is told to refuse.

use crate::Result;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// What the server does with mails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verdict {
    /// It takes them.
    #[default]
    Take,
    /// It refuses them for now.
    Later,
    /// It refuses them for good.
    Never,
    /// It hangs up instead of an answer.
    HangUp,
}

/// A mail that was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Who sent it, as the envelope has it.
    pub from: String,
    /// Who gets it, as the envelope has it.
    pub to: Vec<String>,
    /// The head and the body, with the line breaks that mail has; nothing in it is decoded.
    pub text: String,
}

impl Taken {
    /// The body as it is read: lines that were broken for the way are whole again.
    pub fn body(&self) -> String {
        let (head, body) = self.text.split_once("\r\n\r\n").unwrap_or_default();
        if !head.to_ascii_lowercase().contains("quoted-printable") {
            return body.to_owned();
        }
        let body = body.replace("=\r\n", "");
        let mut out = Vec::new();
        let mut rest = body.bytes();
        while let Some(byte) = rest.next() {
            let hex = |digit: Option<u8>| char::from(digit?).to_digit(16);
            match byte {
                b'=' => {
                    let (high, low) = (hex(rest.next()), hex(rest.next()));
                    out.push((high.unwrap_or_default() << 4 | low.unwrap_or_default()) as u8);
                }
                byte => out.push(byte),
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }
}

#[derive(Default)]
struct State {
    verdict: Mutex<Verdict>,
    taken: Mutex<Vec<Taken>>,
    refused: Mutex<u32>,
    stopped: AtomicBool,
}

/// A running mail server. It ends with its handle.
pub struct Smtp {
    address: SocketAddr,
    state: Arc<State>,
}

impl Smtp {
    /// Starts one.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let state = Arc::new(State::default());
        let serving = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), state) = (stream, serving.clone()) else { continue };
                // A client that hangs up is no matter.
                std::thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Ok(Self { address, state })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Has it do something else with mails from now on.
    pub fn answer(&self, verdict: Verdict) {
        *lock(&self.state.verdict) = verdict;
    }

    /// What it has taken, in order.
    pub fn taken(&self) -> Vec<Taken> {
        lock(&self.state.taken).clone()
    }

    /// How often it did not take a mail.
    pub fn refused(&self) -> u32 {
        *lock(&self.state.refused)
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Relaxed);
        // It waits for somebody to come, and sees then that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut mail = Taken::default();
    stream.write_all(b"220 testbed ESMTP\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let word = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
        let answer = match word.as_str() {
            "EHLO" => "250-testbed\r\n250 8BITMIME",
            "HELO" | "RSET" | "NOOP" => "250 fine",
            "MAIL" => {
                mail = Taken { from: address(&line), ..Taken::default() };
                "250 fine"
            }
            "RCPT" => {
                let verdict = *lock(&state.verdict);
                if verdict != Verdict::Take {
                    *lock(&state.refused) += 1;
                }
                match verdict {
                    Verdict::Take => {
                        mail.to.push(address(&line));
                        "250 fine"
                    }
                    Verdict::Later => "451 try again later",
                    Verdict::Never => "550 there is nobody of that name",
                    Verdict::HangUp => return Ok(()),
                }
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                for line in lines.by_ref() {
                    let line = line?;
                    if line == "." {
                        break;
                    }
                    mail.text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.text.push_str("\r\n");
                }
                lock(&state.taken).push(std::mem::take(&mut mail));
                "250 taken"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n")?;
                return Ok(());
            }
            _ => "502 what?",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes())?;
    }
    Ok(())
}

/// What is between the angle brackets.
fn address(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}
