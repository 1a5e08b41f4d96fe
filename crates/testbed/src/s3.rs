//! An S3 server of one's own, in this process: s3s with its store of files, and what that lacks of the rules of
//! multipart uploads.

use crate::{Result, free_port};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::net::TcpListener;
use std::path::Path;
use std::thread::JoinHandle;
use strict::Strict;
use tokio::sync::oneshot;

mod strict;

/// An S3 server. What it stores outlives its end, and goes with its handle.
#[derive(Debug)]
pub struct S3 {
    folder: tempfile::TempDir,
    port: u16,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl S3 {
    /// The id of the access key that it takes.
    pub const ACCESS_KEY: &'static str = "levee";
    /// The secret of that key.
    pub const SECRET: &'static str = "levee-secret";

    /// Starts a server on a free port.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut server = Self { folder, port: free_port(), running: None };
        server.again()?;
        Ok(server)
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The setting `blobs` for a bucket.
    pub fn setting(&self, bucket: &str) -> String {
        let (key, secret) = (Self::ACCESS_KEY, Self::SECRET);
        format!("s3+http://{key}:{secret}@127.0.0.1:{}/{bucket}", self.port)
    }

    /// Makes a bucket; that it is there is fine.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn bucket(&self, name: &str) -> Result<()> {
        std::fs::create_dir_all(self.folder.path().join(name)).map_err(|error| error.to_string())
    }

    /// Ends it at once, in the middle of whatever it does.
    pub fn end(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            let _ = thread.join();
        }
    }

    /// Starts it again on the same port, with what it stored.
    ///
    /// # Errors
    /// When it does not start.
    pub fn again(&mut self) -> Result<()> {
        self.end();
        let failed = |error: std::io::Error| format!("the S3 server: {error}");
        let service = service(self.folder.path())?;
        let listener = TcpListener::bind(("127.0.0.1", self.port)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = serve(listener, service) => {}
                }
            });
            // With the runtime all connections end.
        });
        self.running = Some((stop, thread));
        Ok(())
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.end();
    }
}

fn service(folder: &Path) -> Result<S3Service> {
    let mut builder = S3ServiceBuilder::new(Strict::new(folder)?);
    builder.set_auth(SimpleAuth::from_single(S3::ACCESS_KEY, S3::SECRET));
    Ok(builder.build())
}

async fn serve(listener: TcpListener, service: S3Service) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((socket, _)) = listener.accept().await {
        let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service.clone());
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
}
