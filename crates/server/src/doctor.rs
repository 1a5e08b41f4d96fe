//! `doctor`: looks at the configuration and at what a node needs, and says how to mend what is wrong.

use crate::cli::Doctor;
use crate::config::{Blobs, Config, Store};
use crate::{mail, scan, tls, webhooks};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use levee_bus::redis::Address;
use levee_cluster::Verdict;
use levee_store::StoreError;
use levee_store::blobs::Blobs as _;
use levee_store::blobs::local::LocalBlobs;
use levee_store::blobs::s3::S3Blobs;
use levee_store::postgres::{PostgresOptions, PostgresStore, SCHEMA_VERSION};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use tokio::time::timeout;

/// How long a running node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Open files that a node needs beside its connections.
const SPARE_FILES: u64 = 200;

/// Runs the checks; fails if one does.
pub(crate) fn run(doctor: &Doctor) -> Result<()> {
    let config = Config::load(&doctor.settings.sources())?;
    if doctor.running {
        return running(&config);
    }
    let mut bad = 0;
    let mut check = |name: &str, outcome: Result<String>| match outcome {
        Ok(found) => println!("ok    {name}: {found}"),
        Err(error) => {
            bad += 1;
            println!("wrong {name}: {error:#}");
        }
    };
    check("configuration", Ok("understood".into()));
    check("data folder", data_dir(&config));
    check("store", store(&config));
    check("bus", bus(&config));
    check("files", files(&config));
    check("scan of files", scanning(&config));
    check("TLS", tls::load(&config).map(|tls| if tls.is_some() { "on" } else { "off" }.into()));
    check("mail", mail::way(&config).map(|way| if way.is_some() { "on" } else { "off" }.into()));
    check("webhooks", webhooks::way(&config).map(|_| "on".into()));
    check("address", address(config.listen));
    check("open files", open_files(config.max_connections as u64));
    check("pages", pages());
    if bad > 0 {
        bail!("{bad} of the checks found something wrong");
    }
    Ok(())
}

/// Asks the node that runs with these settings whether it is ready.
fn running(config: &Config) -> Result<()> {
    if config.tls != crate::config::Tls::Off {
        // Whoever answers the handshake is up; what the certificate says does not matter here.
        TcpStream::connect_timeout(&reachable(config.listen), PATIENCE)
            .context("the node does not answer")?;
        println!("the node accepts connections");
        return Ok(());
    }
    let mut stream = TcpStream::connect_timeout(&reachable(config.listen), PATIENCE)
        .context("the node does not answer")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer).context("the node does not answer")?;
    if !answer.starts_with("HTTP/1.1 200") {
        bail!("the node is not ready: {}", answer.lines().last().unwrap_or_default());
    }
    println!("the node is ready");
    Ok(())
}

/// An address that listens on all interfaces is reached by the local one.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    listen
}

fn data_dir(config: &Config) -> Result<String> {
    let folder = &config.data_dir;
    std::fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let probe = folder.join(".levee-doctor");
    std::fs::write(&probe, b"probe").with_context(|| format!("{} can't be written to", folder.display()))?;
    std::fs::remove_file(&probe)?;
    Ok(folder.display().to_string())
}

fn store(config: &Config) -> Result<String> {
    match &config.store {
        Store::Memory => Ok("memory: everything is gone when the node stops".into()),
        Store::Sqlite if !config.sqlite_synchronous => {
            bail!("sqlite_synchronous is off: acknowledged messages are lost in a power cut")
        }
        Store::Sqlite => {
            let path = config.data_dir.join("levee.sqlite");
            let there = path.exists();
            Ok(if there { path.display().to_string() } else { format!("{} will be made", path.display()) })
        }
        Store::Postgres { url, .. } => {
            let options = PostgresOptions { migrate: false, ..PostgresOptions::default() };
            let opening = PostgresStore::open(url, options);
            match actix_rt::System::new().block_on(opening) {
                Ok(_) => Ok(format!("PostgreSQL answers, its schema is version {SCHEMA_VERSION}")),
                Err(StoreError::Schema { found, .. }) if found < SCHEMA_VERSION => Ok(format!(
                    "PostgreSQL answers; `levee migrate` will bring its schema from {found} to {SCHEMA_VERSION}"
                )),
                Err(error) => Err(error.into()),
            }
        }
    }
}

fn bus(config: &Config) -> Result<String> {
    let Store::Postgres { redis, .. } = &config.store else { return Ok("one node needs none".into()) };
    let address: Address = redis.parse().context("redis_url")?;
    actix_rt::System::new().block_on(address.answers())?;
    Ok(format!("{address} answers"))
}

/// Tries out that files can be kept; of a bucket, that it answers.
fn files(config: &Config) -> Result<String> {
    let system = actix_rt::System::new();
    match &config.blobs {
        Blobs::Folder(folder) => {
            let opened = system.block_on(LocalBlobs::open(folder));
            opened.with_context(|| format!("blobs: {} can't be used", folder.display()))?;
            Ok(folder.display().to_string())
        }
        Blobs::S3(settings) => {
            let bucket = S3Blobs::new(settings).context("blobs")?;
            system.block_on(bucket.stat("levee-doctor")).context("blobs")?;
            Ok(format!("{settings:?} answers"))
        }
        Blobs::Nowhere => Ok("blobs is not set: no files can be sent".into()),
    }
}

/// Has a few harmless bytes looked at.
fn scanning(config: &Config) -> Result<String> {
    let Some(scanner) = scan::way(config)? else { return Ok("off".into()) };
    let bytes = Bytes::from_static(b"levee doctor\n");
    let size = bytes.len() as u64;
    let limit = Duration::from_secs(config.file_scan_timeout_s);
    let scanning = async { timeout(limit, scanner.scan(size, stream::iter([Ok(bytes)]).boxed())).await };
    match actix_rt::System::new().block_on(scanning) {
        Ok(Ok(Verdict::Clean)) => Ok("harmless bytes pass".into()),
        Ok(Ok(Verdict::Refused)) => bail!("file_scan refuses harmless bytes"),
        Ok(Err(why)) => bail!("file_scan: {why}"),
        Err(_) => bail!("file_scan takes more than {} s", config.file_scan_timeout_s),
    }
}

fn address(listen: SocketAddr) -> Result<String> {
    TcpListener::bind(listen).with_context(|| format!("{listen} is not free: is a node running already?"))?;
    Ok(format!("{listen} is free"))
}

fn open_files(connections: u64) -> Result<String> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let limit = line.and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    match limit {
        Some(limit) if limit < connections + SPARE_FILES => bail!(
            "{limit} are allowed, max_connections is {connections}: raise `ulimit -n` to {} or lower it",
            connections + SPARE_FILES
        ),
        Some(limit) => Ok(format!("{limit} are allowed")),
        None => Ok("no limit is known".into()),
    }
}

fn pages() -> Result<String> {
    if levee_gateway::pages_are_built() {
        return Ok("built in".into());
    }
    bail!("not built: run `npm ci && npm run build` in crates/web, then build the server again")
}
