//! A balancer as simple as they come: each connection goes to the next node that takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Balancer {
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Balancer {
    /// Listens on a free port, and passes connections on to nodes on these.
    pub(crate) async fn start(nodes: Vec<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its port").port();
        let next = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (nodes, first) = (nodes.clone(), next.fetch_add(1, Ordering::Relaxed));
                tokio::spawn(async move {
                    for at in 0..nodes.len() {
                        let node = nodes[(first + at) % nodes.len()];
                        if let Ok(server) = TcpStream::connect(("127.0.0.1", node)).await {
                            return join(client, server).await;
                        }
                    }
                });
            }
        });
        Self { port, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

async fn join(mut client: TcpStream, mut server: TcpStream) {
    // Whichever end is gone takes the other with it.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
