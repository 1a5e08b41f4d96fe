//! The configuration of a node: defaults, then a TOML file, then the environment, then flags.
//!
//! What is set by a name that nobody knows is refused with the nearest known name; what does not fit its
//! setting is refused with the place where it was written. This module never acts on a setting.

mod blobs;
mod environment;
mod file;
mod print;
mod sources;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod value;

use ipnetwork::IpNetwork;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use blobs::Blobs;
pub(crate) use print::print;
pub(crate) use sources::{Sources, Values};

/// The effective configuration. Its fields are the rows of [`table::SETTINGS`], where their meaning is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// How to speak TLS, or not.
    pub(crate) tls: Tls,
    /// What `/v2/endpoint` answers; empty for the host that was asked.
    pub(crate) public_address: Vec<String>,
    /// The folder of everything that is kept.
    pub(crate) data_dir: PathBuf,
    /// Which store.
    pub(crate) store: Store,
    /// Where files are kept.
    pub(crate) blobs: Blobs,
    /// Where links to files lead; empty for relative ones.
    pub(crate) files_origin: String,
    /// Bytes that a file may have; 0 for any.
    pub(crate) file_bytes_max: u64,
    /// Bytes of the disk that files leave free.
    pub(crate) blobs_spare_bytes: u64,
    /// Seconds after which a file is given up.
    pub(crate) file_expire_s: u64,
    /// What looks at files: a command or an address; empty if nothing does.
    pub(crate) file_scan: String,
    /// Seconds that looking at a file may take.
    pub(crate) file_scan_timeout_s: u64,
    /// Seconds until others take over from a node that is gone.
    pub(crate) lease_s: u64,
    /// Seconds over which connections are told to go.
    pub(crate) drain_s: u64,
    /// Whether SQLite syncs each commit; `false` for tests only.
    pub(crate) sqlite_synchronous: bool,
    /// Threads; never 0 here.
    pub(crate) workers: usize,
    /// Connections at once.
    pub(crate) max_connections: usize,
    /// Seconds that a session outlives its connection.
    pub(crate) session_ttl_s: u64,
    /// Seconds that an agent may be gone from an audience.
    pub(crate) agent_timeout_s: u64,
    /// Unacknowledged events per session.
    pub(crate) session_buffer_events: usize,
    /// Bytes of unacknowledged events per session.
    pub(crate) session_buffer_bytes: usize,
    /// How much users may own. Made of four settings.
    pub(crate) quotas: levee_cluster::Quotas,
    /// Seconds until an idle actor leaves memory.
    pub(crate) idle_passivate_s: u64,
    /// STUN and TURN servers.
    pub(crate) ice_urls: Vec<String>,
    /// What the TURN servers share with this one; empty if nothing.
    pub(crate) turn_secret: Secret,
    /// Seconds that credentials for TURN hold.
    pub(crate) turn_ttl_s: u64,
    /// Where rooms for group video are; empty if nowhere.
    pub(crate) jitsi_domain: String,
    /// What the Jitsi server knows this one by.
    pub(crate) jitsi_app_id: String,
    /// What the Jitsi server shares with this one; empty if nothing.
    pub(crate) jitsi_secret: Secret,
    /// How mail goes out, if it does. Made of three settings.
    pub(crate) mail: Option<Mail>,
    /// Whether webhooks may lead to plain HTTP.
    pub(crate) webhook_allow_http: bool,
    /// Networks that webhooks may lead to although they are not public.
    pub(crate) webhook_allow_private: Vec<IpNetwork>,
    /// Certificates that receivers of webhooks may have beside those that browsers trust.
    pub(crate) webhook_ca: Option<PathBuf>,
    /// Seconds until it is given up to tell a webhook something.
    pub(crate) webhook_give_up_s: u64,
    /// Proxies that are believed whom they name.
    pub(crate) trusted_proxies: Vec<IpNetwork>,
    /// The file of places, if there is one.
    pub(crate) geoip_database: Option<PathBuf>,
    /// Foreign origins that the console accepts.
    pub(crate) allowed_origins: Vec<String>,
    /// Whether log lines are JSON.
    pub(crate) log_json: bool,
    /// The filter of log lines.
    pub(crate) log_level: String,
}

/// How mail goes out.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Mail {
    /// The mail server, perhaps with a password.
    pub(crate) smtp_url: String,
    /// The sender.
    pub(crate) from: String,
    /// Where links lead.
    pub(crate) page: String,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "from {} to {}", self.from, self.page)
    }
}

/// How the listener speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Plain HTTP.
    Off,
    /// With this certificate chain and key.
    Files {
        /// The chain, PEM.
        cert: PathBuf,
        /// The key, PEM.
        key: PathBuf,
    },
    /// With a certificate of our own, kept in the data folder.
    SelfSigned,
}

/// Where the truth is kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Store {
    /// One SQLite file in the data folder.
    Sqlite,
    /// PostgreSQL, with Redis between the nodes. The addresses may hold passwords.
    Postgres {
        /// Where PostgreSQL is.
        url: String,
        /// Where Redis is.
        redis: String,
    },
    /// Memory, for tests.
    Memory,
}

/// What never shows in a log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres { .. } => "postgres",
            Self::Memory => "memory",
        })
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ConfigError {
    /// The file that was asked for can't be read.
    #[error("{path} can't be read: {reason}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{place}: {reason}")]
    Syntax {
        /// File and line.
        place: String,
        /// What TOML says.
        reason: String,
    },
    /// A name that no setting has.
    #[error("{place}: there is no setting `{name}`{}", suggestion(.nearest))]
    Unknown {
        /// Where it was written.
        place: String,
        /// The name as it was written.
        name: String,
        /// A known name that looks like it.
        nearest: Option<String>,
    },
    /// A value that does not fit its setting.
    #[error("{place}: `{name}` must be {expected}, not {found}")]
    Unfit {
        /// Where it was written.
        place: String,
        /// The name as it was written.
        name: String,
        /// What fits.
        expected: String,
        /// What was there.
        found: String,
    },
    /// Settings that do not go together.
    #[error("{0}")]
    Conflict(String),
}

fn suggestion(name: &Option<String>) -> String {
    name.as_ref().map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

impl Config {
    /// Reads all sources.
    ///
    /// # Errors
    /// The first thing that is wrong, with the place where it was written.
    pub(crate) fn load(sources: &Sources) -> Result<Self, ConfigError> {
        Self::from_values(&Values::read(sources)?)
    }

    /// Makes the typed configuration from effective values.
    ///
    /// # Errors
    /// When settings do not go together.
    pub(crate) fn from_values(values: &Values) -> Result<Self, ConfigError> {
        let store = Self::store(values)?;
        // Whether they are networks was looked at when they were read.
        let networks = |name| values.list(name).iter().flat_map(|text| text.parse()).collect();
        Ok(Self {
            listen: values.address("listen"),
            tls: Self::tls(values)?,
            public_address: values.list("public_address"),
            data_dir: values.path("data_dir").ok_or_else(|| conflict("data_dir can't be empty"))?,
            blobs: Blobs::of(values, &store)?,
            store,
            files_origin: values.text("files_origin").to_owned(),
            file_bytes_max: values.integer("file_bytes_max"),
            blobs_spare_bytes: values.integer("blobs_spare_bytes"),
            file_expire_s: values.integer("file_expire_s"),
            file_scan: values.text("file_scan").to_owned(),
            file_scan_timeout_s: values.integer("file_scan_timeout_s"),
            lease_s: values.integer("lease_s"),
            drain_s: values.integer("drain_s"),
            sqlite_synchronous: values.text("sqlite_synchronous") == "full",
            workers: match values.size("workers") {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                workers => workers,
            },
            max_connections: values.size("max_connections"),
            session_ttl_s: values.integer("session_ttl_s"),
            agent_timeout_s: values.integer("agent_timeout_s"),
            session_buffer_events: values.size("session_buffer_events"),
            session_buffer_bytes: values.size("session_buffer_bytes"),
            quotas: levee_cluster::Quotas {
                channels: values.integer("user_channels_max"),
                realms: values.integer("user_realms_max"),
                queues: values.integer("user_queues_max"),
                queue_members: values.integer("queue_members_max"),
                upload_bytes: values.integer("user_upload_bytes_max"),
            },
            idle_passivate_s: values.integer("idle_passivate_s"),
            ice_urls: values.list("ice_urls"),
            turn_secret: Secret(values.text("turn_secret").to_owned()),
            turn_ttl_s: values.integer("turn_ttl_s"),
            jitsi_domain: values.text("jitsi_domain").to_owned(),
            jitsi_app_id: values.text("jitsi_app_id").to_owned(),
            jitsi_secret: Secret(values.text("jitsi_secret").to_owned()),
            mail: Self::mail(values)?,
            webhook_allow_http: values.bool("webhook_allow_http"),
            webhook_allow_private: networks("webhook_allow_private"),
            webhook_ca: values.path("webhook_ca"),
            webhook_give_up_s: values.integer("webhook_give_up_s"),
            trusted_proxies: networks("trusted_proxies"),
            geoip_database: values.path("geoip_database"),
            allowed_origins: values.list("allowed_origins"),
            log_json: values.text("log_format") == "json",
            log_level: values.text("log_level").to_owned(),
        })
    }

    fn store(values: &Values) -> Result<Store, ConfigError> {
        let (kind, url, redis) =
            (values.text("store"), values.text("postgres_url"), values.text("redis_url"));
        match kind {
            "postgres" if url.is_empty() => Err(conflict("store = \"postgres\" needs postgres_url")),
            "postgres" if redis.is_empty() => {
                Err(conflict("store = \"postgres\" needs redis_url: it carries letters between the nodes"))
            }
            "postgres" => Ok(Store::Postgres { url: url.to_owned(), redis: redis.to_owned() }),
            _ if !url.is_empty() => Err(conflict("postgres_url is for store = \"postgres\"")),
            _ if !redis.is_empty() => {
                Err(conflict("redis_url is for store = \"postgres\": other stores are for one node"))
            }
            "memory" => Ok(Store::Memory),
            _ => Ok(Store::Sqlite),
        }
    }

    fn mail(values: &Values) -> Result<Option<Mail>, ConfigError> {
        let [smtp_url, from, page] =
            ["smtp_url", "mail_from", "page_url"].map(|name| values.text(name).to_owned());
        match (smtp_url.is_empty(), from.is_empty(), page.is_empty()) {
            (true, true, true) => Ok(None),
            (true, ..) => Err(conflict("mail_from and page_url are for smtp_url")),
            (false, true, _) => Err(conflict("smtp_url needs mail_from: whom mails come from")),
            (false, _, true) => Err(conflict("smtp_url needs page_url: where links in mails lead")),
            (false, false, false) => Ok(Some(Mail { smtp_url, from, page })),
        }
    }

    fn tls(values: &Values) -> Result<Tls, ConfigError> {
        match (values.path("tls_cert"), values.path("tls_key"), values.bool("tls_self_signed")) {
            (None, None, false) => Ok(Tls::Off),
            (None, None, true) => Ok(Tls::SelfSigned),
            (Some(cert), Some(key), false) => Ok(Tls::Files { cert, key }),
            (Some(_), Some(_), true) => {
                Err(conflict("tls_self_signed makes a certificate: leave out tls_cert and tls_key, or it"))
            }
            (Some(_), None, _) => Err(conflict("tls_cert needs tls_key beside it")),
            (None, Some(_), _) => Err(conflict("tls_key needs tls_cert beside it")),
        }
    }
}

fn conflict(text: &str) -> ConfigError {
    ConfigError::Conflict(text.to_owned())
}
