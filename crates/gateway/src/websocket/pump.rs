//! Drives one upgraded socket: bytes in to the actor's context, bytes out to the socket.

use actix::Addr;
use actix_web::error::PayloadError;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream;
use levee_cluster::{Flow, SessionActor, SessionMessage};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes one read takes at most.
const READ: usize = 64 * 1024;
/// How many bytes are gathered for one write.
const WRITE: usize = 64 * 1024;
/// A text frame without content: what the API keeps connections alive with.
const EMPTY_FRAME: &[u8] = &[0x81, 0];

thread_local! {
    /// The buffer that all sockets of a thread read through.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// What the parts of a connection share.
pub(super) struct Link {
    /// How much waits for the connection.
    pub(super) flow: Arc<Flow>,
    heard: Cell<Instant>,
    wrote: Cell<Instant>,
    blocked: Cell<bool>,
    handed: Cell<usize>,
    aborted: Cell<bool>,
    keep_alive: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    session: RefCell<Option<Rc<Addr<SessionActor>>>>,
}

impl Link {
    /// Something came in.
    pub(super) fn heard(&self) {
        self.heard.set(Instant::now());
    }
    /// The connection has a session.
    pub(super) fn bind(&self, session: Rc<Addr<SessionActor>>) {
        *self.session.borrow_mut() = Some(session);
    }
    /// Events of this size were put into the context.
    pub(super) fn handed(&self, bytes: usize) {
        self.handed.set(self.handed.get() + bytes);
    }
    /// Since when nothing came in.
    pub(super) fn silent_since(&self) -> Instant {
        self.heard.get()
    }
    /// Since when nothing was written; whether that is for the other side does not read.
    pub(super) fn unwritten_since(&self) -> (Instant, bool) {
        (self.wrote.get(), self.blocked.get())
    }
    /// Time for an empty frame.
    pub(super) fn keep_alive(&self) {
        self.keep_alive.set(true);
        self.wake();
    }
    /// Ends the connection without a word.
    pub(super) fn abort(&self) {
        self.aborted.set(true);
        self.wake();
    }
    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
    fn written(&self) {
        self.wrote.set(Instant::now());
        let handed = self.handed.take();
        if handed > 0
            && self.flow.written(handed)
            && let Some(session) = &*self.session.borrow()
        {
            let _ = session.try_send(SessionMessage::Writable);
        }
    }
}

/// A socket that a reader and a writer of the same task share.
pub(super) struct Socket<I> {
    io: RefCell<I>,
    link: Rc<Link>,
}

impl<I> Socket<I> {
    pub(super) fn new(io: I) -> Self {
        let now = Instant::now();
        let link = Link {
            flow: Arc::default(),
            heard: Cell::new(now),
            wrote: Cell::new(now),
            blocked: Cell::new(false),
            handed: Cell::new(0),
            aborted: Cell::new(false),
            keep_alive: Cell::new(false),
            waker: RefCell::new(None),
            session: RefCell::new(None),
        };
        Self { io: RefCell::new(io), link: Rc::new(link) }
    }

    pub(super) fn link(&self) -> &Rc<Link> {
        &self.link
    }
}

/// The bytes that come in.
pub(super) struct Input<I> {
    socket: Rc<Socket<I>>,
    early: Bytes,
}

impl<I> Input<I> {
    /// Input that begins with what came along with the handshake.
    pub(super) fn new(socket: Rc<Socket<I>>, early: Bytes) -> Self {
        Self { socket, early }
    }
}

impl<I: AsyncRead + Unpin> Stream for Input<I> {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.early.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.early))));
        }
        BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            match Pin::new(&mut *self.socket.io.borrow_mut()).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if read.filled().is_empty() => Poll::Ready(None),
                Poll::Ready(Ok(())) => Poll::Ready(Some(Ok(Bytes::copy_from_slice(read.filled())))),
                Poll::Ready(Err(error)) => Poll::Ready(Some(Err(PayloadError::Io(error)))),
                Poll::Pending => Poll::Pending,
            }
        })
    }
}

/// What the actor's context puts out. Boxed by whoever starts the task, which would hold it twice else.
pub(super) type Output = Pin<Box<dyn Stream<Item = Result<Bytes, actix_web::Error>>>>;

/// Bytes that wait for the socket: usually one piece, which is written as it is; copied together only
/// if there are several.
#[derive(Default)]
enum Waiting {
    #[default]
    Nothing,
    One(Bytes),
    Several(BytesMut),
}

impl Waiting {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::One(bytes) => bytes,
            Self::Several(bytes) => bytes,
        }
    }
    fn len(&self) -> usize {
        self.bytes().len()
    }
    fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }
    fn push(&mut self, bytes: Bytes) {
        match self {
            Self::Nothing => *self = Self::One(bytes),
            Self::One(first) => {
                let mut several = BytesMut::with_capacity((first.len() + bytes.len()) * 2);
                several.extend_from_slice(first);
                several.extend_from_slice(&bytes);
                *self = Self::Several(several);
            }
            Self::Several(several) => several.extend_from_slice(&bytes),
        }
    }
    /// Forgets what was written; nothing is held once that is all.
    fn advance(&mut self, written: usize) {
        if written >= self.len() {
            *self = Self::Nothing;
            return;
        }
        match self {
            Self::Nothing => {}
            Self::One(bytes) => bytes.advance(written),
            Self::Several(bytes) => bytes.advance(written),
        }
    }
}

/// Runs a connection to its end. While the other side does not read, the context is not polled, so
/// that whatever comes for it waits (and is counted) where it is.
pub(super) async fn run<I>(socket: Rc<Socket<I>>, mut output: Output)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut waiting = Waiting::default();
    let mut ended = false;
    poll_fn(|cx| {
        let link = &socket.link;
        if link.aborted.get() {
            return Poll::Ready(());
        }
        if link.waker.borrow().as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            *link.waker.borrow_mut() = Some(cx.waker().clone());
        }
        loop {
            while !ended && waiting.len() < WRITE {
                match output.as_mut().poll_next(cx) {
                    Poll::Ready(Some(Ok(bytes))) => waiting.push(bytes),
                    Poll::Ready(Some(Err(_)) | None) => ended = true,
                    Poll::Pending => break,
                }
            }
            // Between what the context puts out, which are whole frames.
            if link.keep_alive.take() && waiting.is_empty() && !ended {
                waiting.push(Bytes::from_static(EMPTY_FRAME));
            }
            let mut io = socket.io.borrow_mut();
            if waiting.is_empty() {
                // TLS may hold bytes back until it is flushed.
                if Pin::new(&mut *io).poll_flush(cx).is_pending() {
                    return Poll::Pending;
                }
                link.blocked.set(false);
                if ended {
                    return Poll::Ready(());
                }
                return Poll::Pending;
            }
            match Pin::new(&mut *io).poll_write(cx, waiting.bytes()) {
                Poll::Ready(Ok(written)) if written > 0 => {
                    waiting.advance(written);
                    if waiting.is_empty() {
                        link.written();
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    link.blocked.set(true);
                    return Poll::Pending;
                }
            }
        }
    })
    .await;
    // Boxed, for its timer is larger than all the rest of this task.
    let closing = poll_fn(|cx| Pin::new(&mut *socket.io.borrow_mut()).poll_shutdown(cx));
    let _ = Box::pin(tokio::time::timeout(Duration::from_secs(1), closing)).await;
}
