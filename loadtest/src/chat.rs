//! The scenario `chat`: its arguments and its course.

use crate::figures::Latencies;
use crate::progress::Progress;
use crate::report::Report;
use anyhow::{Context, Result};
use clap::Args;
use levee_client::chat::{Crowd, Organisation, Plan};
use levee_client::{Address, Options, Trust};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::sleep;

/// How long messages may be under way after the last was sent.
const SETTLE: Duration = Duration::from_secs(30);

/// The arguments of `chat`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Chat {
    /// Where the server is: ws://HOST:PORT, or wss://HOST:PORT with --trust.
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:8430")]
    address: String,
    /// Believe the certificates in this PEM file; a server with --tls-self-signed prints its path.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,

    /// How many customers; each has one conversation.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    customers: u32,
    /// How many agents; they share the customers evenly.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    agents: u32,
    /// The share of customers, 0 to 1, that poll over HTTP instead of holding a WebSocket.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    polling: f64,

    /// Messages per second of each party of each conversation, on average.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 1.0, value_parser = rate)]
    rate: f64,
    /// Seconds to write for. The time to gather and to check comes on top.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    duration: u64,
    /// Bytes of a message's text, at least.
    #[arg(long, value_name = "BYTES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    message_bytes: u32,

    /// Use this queue instead of making a realm with one. Needs --realm and an operator of it.
    #[arg(long, value_name = "ID", requires_all = ["realm", "operator", "operator_password"])]
    queue: Option<String>,
    /// The realm of --queue.
    #[arg(long, value_name = "ID", requires = "queue")]
    realm: Option<String>,
    /// The e-mail address of an operator of --realm; new agents are added to it.
    #[arg(long, value_name = "EMAIL", requires = "queue")]
    operator: Option<String>,
    /// The operator's password.
    #[arg(long, value_name = "PASSWORD", env = "LEVEE_LOADTEST_PASSWORD", hide_env_values = true)]
    operator_password: Option<String>,

    /// Write the report as JSON to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Print the report only, no progress.
    #[arg(long)]
    quiet: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1000.0).contains(&rate) => Ok(rate),
        _ => Err("a number between 0.001 and 1000".to_owned()),
    }
}

impl Chat {
    /// Plays the scenario; whether the server kept its promises.
    pub(crate) async fn run(self) -> Result<bool> {
        let trust = self.trust.as_deref().map(Trust::file).transpose()?;
        let address = Address::parse(&self.address, trust)?;
        let progress = Arc::new(Progress::new(self.quiet));
        let latencies = Arc::new(Latencies::new()?);
        let mut crowd = Crowd::gather(self.plan(address, &progress, &latencies))
            .await
            .with_context(|| format!("gathering at {}", self.address))?;
        crowd.meet().await.context("bringing customers and agents together")?;

        let duration = Duration::from_secs(self.duration);
        let (stop, stopping) = watch::channel(false);
        let since = Instant::now();
        let clock = async {
            while since.elapsed() < duration {
                sleep(Duration::from_secs(1).min(duration.saturating_sub(since.elapsed()))).await;
                progress.seconds("writing", since.elapsed(), duration, latencies.replies());
            }
            stop.send_replace(true);
        };
        let (talk, ()) = tokio::join!(crowd.talk(&stopping), clock);
        let took = since.elapsed();
        let undelivered = crowd.settle(SETTLE).await;
        let verdict = crowd.verdict().await.context("reading the histories")?;
        crowd.leave().await;
        progress.done();

        let report = Report::new(&self.settings(), took, talk, undelivered, &verdict, &latencies);
        print!("{report}");
        if let Some(path) = &self.json {
            let text = serde_json::to_string_pretty(&report)?;
            std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
        }
        Ok(report.kept())
    }

    fn settings(&self) -> crate::report::Settings {
        crate::report::Settings {
            customers: self.customers,
            agents: self.agents,
            polling: self.polling,
            rate: self.rate,
            message_bytes: self.message_bytes,
        }
    }

    fn plan(&self, address: Address, progress: &Arc<Progress>, latencies: &Arc<Latencies>) -> Plan {
        let (progress, latencies) = (progress.clone(), latencies.clone());
        let given = (&self.realm, &self.queue, &self.operator, &self.operator_password);
        let organisation = match given {
            (Some(realm), Some(queue), Some(email), Some(password)) => Some(Organisation {
                realm_id: realm.clone(),
                queue_id: queue.clone(),
                email: email.clone(),
                password: password.clone(),
            }),
            _ => None,
        };
        Plan {
            polling: self.polling,
            pause: Duration::from_secs_f64(1.0 / self.rate),
            message_bytes: self.message_bytes as usize,
            // Far more than it takes; a crowd of thousands meets in minutes on a small machine.
            patience: Duration::from_secs(600),
            options: Options { reply_timeout: Duration::from_secs(120), ..Options::default() },
            observer: Some(Arc::new(move |latency| latencies.add(latency))),
            progress: Arc::new(move |step| progress.step(step)),
            organisation,
            ..Plan::new(address, self.customers as usize, self.agents as usize)
        }
    }
}
