//! A balancer that can do harm: it passes connections on to nodes that say they are ready, and on request
//! swallows what comes back, or cuts everybody off. Like its like in earnest, it closes connections to nodes
//! that do not answer.

use super::node::health;
use levee_client::Address;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often nodes are asked whether they are ready.
const ASK: Duration = Duration::from_millis(500);
/// How long a connection to a node may take.
const CONNECT: Duration = Duration::from_secs(1);

/// The balancer; it ends when it is dropped.
pub(crate) struct Balancer {
    port: u16,
    tasks: Vec<JoinHandle<()>>,
    /// Raised to cut all connections of before.
    cuts: watch::Sender<u64>,
    deaf: Arc<AtomicBool>,
}

struct Target {
    address: Address,
    ready: AtomicBool,
    /// Raised when it does not answer.
    silences: watch::Sender<u64>,
}

impl Balancer {
    pub(crate) async fn start(nodes: Vec<Address>) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (cuts, _) = watch::channel(0);
        let deaf = Arc::new(AtomicBool::new(false));
        let target = |address| {
            let (silences, _) = watch::channel(0);
            Arc::new(Target { address, ready: AtomicBool::new(true), silences })
        };
        let targets: Vec<Arc<Target>> = nodes.into_iter().map(target).collect();
        let mut tasks: Vec<JoinHandle<()>> =
            targets.iter().map(|target| tokio::spawn(watch_over(target.clone()))).collect();
        tasks.push(tokio::spawn(accept(listener, targets, cuts.clone(), deaf.clone())));
        Ok(Self { port, tasks, cuts, deaf })
    }

    pub(crate) fn address(&self) -> Address {
        Address::plain("127.0.0.1", self.port)
    }

    /// Swallows what nodes say from now on, until `cut`.
    pub(crate) fn swallow(&self) {
        self.deaf.store(true, Ordering::Relaxed);
    }

    /// Cuts everybody off; they may come back at once.
    pub(crate) fn cut(&self) {
        self.deaf.store(false, Ordering::Relaxed);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn watch_over(target: Arc<Target>) {
    loop {
        let health = health(&target.address).await;
        target.ready.store(health == Some(true), Ordering::Relaxed);
        if health.is_none() {
            target.silences.send_modify(|silences| *silences += 1);
        }
        tokio::time::sleep(ASK).await;
    }
}

async fn accept(
    listener: TcpListener,
    targets: Vec<Arc<Target>>,
    cuts: watch::Sender<u64>,
    deaf: Arc<AtomicBool>,
) {
    let next = AtomicUsize::new(0);
    while let Ok((client, _)) = listener.accept().await {
        let first = next.fetch_add(1, Ordering::Relaxed);
        let (targets, cuts, deaf) = (targets.clone(), cuts.subscribe(), deaf.clone());
        tokio::spawn(async move {
            let order = (0..targets.len()).map(|at| &targets[(first + at) % targets.len()]);
            for target in order.filter(|target| target.ready.load(Ordering::Relaxed)) {
                let to = (target.address.host.as_str(), target.address.port);
                if let Ok(Ok(node)) = tokio::time::timeout(CONNECT, TcpStream::connect(to)).await {
                    return join(client, node, cuts, target.silences.subscribe(), deaf).await;
                }
            }
        });
    }
}

async fn join(
    client: TcpStream,
    node: TcpStream,
    mut cuts: watch::Receiver<u64>,
    mut silences: watch::Receiver<u64>,
    deaf: Arc<AtomicBool>,
) {
    let _ = (client.set_nodelay(true), node.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_node, to_node) = node.into_split();
    let hears = Arc::new(AtomicBool::new(false));
    tokio::select! {
        () = copy(from_client, to_node, hears) => {}
        () = copy(from_node, to_client, deaf) => {}
        _ = cuts.changed() => {}
        _ = silences.changed() => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallow: Arc<AtomicBool>) {
    let mut buffer = vec![0; 16 * 1024];
    let mut swallowed = false;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        // A stream has no holes: after what was swallowed nothing comes.
        swallowed |= swallow.load(Ordering::Relaxed);
        if !swallowed && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
