//! The one table of settings: name, kind, default and meaning.
//!
//! Everything else about settings follows from it: the TOML keys, the environment variables, the flags,
//! `config print` and the reference in the documentation, which is generated from this very file. It
//! depends on nothing but the standard library, so that the project's own tools can include it.

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text; empty means unset.
    Text,
    /// A path of a file or folder; empty means unset.
    Path,
    /// `true` or `false`.
    Bool,
    /// A whole number in a range.
    Integer {
        /// The smallest allowed.
        min: u64,
        /// The largest allowed.
        max: u64,
    },
    /// One of some words.
    Choice(&'static [&'static str]),
    /// An IP address and a port.
    Address,
    /// A list of `host:port`.
    Hosts,
    /// A list of web origins, `scheme://host` with a port where it is not the usual one.
    Origins,
    /// One web origin; empty means unset.
    Origin,
    /// A list of STUN and TURN servers.
    IceServers,
    /// A list of networks, such as `10.0.0.0/8`.
    Networks,
}

impl Kind {
    /// The kind in words.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Text => "a text".into(),
            Self::Path => "a path".into(),
            Self::Bool => "true or false".into(),
            Self::Integer { min, max } => format!("a whole number, {min} to {max}"),
            Self::Choice(words) => {
                words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
            }
            Self::Address => "an IP address and a port".into(),
            Self::Hosts => "a list of host:port".into(),
            Self::Origins => "a list of origins".into(),
            Self::Origin => "an origin".into(),
            Self::IceServers => "a list of stun:host:port and turn:host:port".into(),
            Self::Networks => "a list of networks".into(),
        }
    }

    /// Whether the value is a list: an array in a file, divided by commas elsewhere.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Hosts | Self::Origins | Self::IceServers | Self::Networks)
    }

    /// What stands for a value in a help text.
    pub(crate) fn placeholder(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Path => "PATH",
            Self::Bool => "BOOL",
            Self::Integer { .. } => "NUMBER",
            Self::Choice(_) => "WORD",
            Self::Address => "ADDRESS",
            Self::Hosts => "HOST:PORT",
            Self::Origins | Self::Origin => "ORIGIN",
            Self::IceServers => "URL",
            Self::Networks => "NETWORK",
        }
    }
}

/// A setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Its name, which is its key in a file.
    pub(crate) name: &'static str,
    /// What values it takes.
    pub(crate) kind: Kind,
    /// Its value when nobody sets it, written as in the environment.
    pub(crate) default: &'static str,
    /// Whether its value is never shown.
    pub(crate) secret: bool,
    /// What it does, with units and consequences.
    pub(crate) doc: &'static str,
}

impl Setting {
    /// Its environment variable.
    pub(crate) fn env(&self) -> String {
        format!("LEVEE_{}", self.name.to_ascii_uppercase())
    }

    /// Its flag, without the two dashes.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

const fn setting(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Setting {
    Setting { name, kind, default, secret: false, doc }
}

const fn integer(min: u64, max: u64) -> Kind {
    Kind::Integer { min, max }
}

const GIB: u64 = 1024 * 1024 * 1024;

/// Every setting, in the order in which they are documented.
pub(crate) static SETTINGS: &[Setting] = &[
    setting(
        "listen",
        Kind::Address,
        "127.0.0.1:8430",
        "Where to listen for HTTP and WebSockets. Port 0 takes a free port, which is printed.",
    ),
    setting("tls_cert", Kind::Path, "", "The certificate chain, PEM. With it the server speaks TLS only."),
    setting("tls_key", Kind::Path, "", "The private key of the certificate, PEM."),
    setting(
        "tls_self_signed",
        Kind::Bool,
        "false",
        "Speak TLS with a certificate made at the first start and kept in data_dir; its path is printed.",
    ),
    setting(
        "public_address",
        Kind::Hosts,
        "",
        "What /v2/endpoint tells clients to connect to. Empty: the host and port by which they asked.",
    ),
    setting("data_dir", Kind::Path, "./levee-data", "Where the embedded store, files and certificates are."),
    setting(
        "store",
        Kind::Choice(&["sqlite", "postgres", "memory"]),
        "sqlite",
        "Where the truth is kept: \"sqlite\" in data_dir, for one node; \"postgres\" for any number of nodes, with \
         postgres_url and redis_url; \"memory\" forgets everything at the end: for tests only.",
    ),
    Setting {
        secret: true,
        ..setting(
            "postgres_url",
            Kind::Text,
            "",
            "Where PostgreSQL is: \"postgres://user:password@host:5432/database\"; ?sslmode=require for TLS.",
        )
    },
    Setting {
        secret: true,
        ..setting(
            "redis_url",
            Kind::Text,
            "",
            "Where Redis is: \"redis://host:6379\", \"redis-sentinel://host:26379,…/name\" or \
             \"redis-cluster://host:6379,…\"; user:password@ before the hosts, rediss… for TLS.",
        )
    },
    Setting {
        secret: true,
        ..setting(
            "blobs",
            Kind::Text,
            "",
            "Where the bytes of files are: a folder, which all nodes must see, or a bucket of S3: \
             \"s3://KEY:SECRET@host/bucket?region=eu-west-1\", with style=host if the bucket is in the host's name, \
             s3+http: without TLS; KEY and SECRET are escaped as in a URL. Empty: the folder blobs in data_dir; with \
             store = \"postgres\", nowhere: no files can be sent.",
        )
    },
    setting(
        "files_origin",
        Kind::Origin,
        "",
        "Where links to files lead: \"https://files.example.org\", a name of this server that is used for nothing \
         else, so that files have no part in the console's origin; on it, files are all there is. Empty: the first \
         public_address, by https; without that, links are relative.",
    ),
    setting(
        "file_bytes_max",
        integer(0, 1 << 53),
        "0",
        "Bytes that a file may have. 0: as many as there is room for.",
    ),
    setting(
        "blobs_spare_bytes",
        integer(0, 1 << 53),
        "268435456",
        "Bytes of the disk that files leave free, where blobs is a folder: the database may need them.",
    ),
    setting(
        "file_expire_s",
        integer(60, 30 * 86_400),
        "86400",
        "Seconds after which a file is given up whose bytes don't come, or that nobody gets to see.",
    ),
    setting(
        "file_scan",
        Kind::Text,
        "",
        "What looks at each file that somebody sends before anybody sees it: a command with arguments, quoted as for a \
         shell, that gets the bytes on its standard input and ends with 0 if nothing speaks against them and with 1 if \
         nobody shall see them; or an address, \"http://host:port/path\", to which they are posted and which answers 2xx or \
         4xx, but for 408 and 429. Whatever else it does, it is asked again. Empty: nothing does.",
    ),
    setting(
        "file_scan_timeout_s",
        integer(1, 3_600),
        "60",
        "Seconds that looking at a file may take. So long a file also waits for its turn: a node has four looked at at a \
         time.",
    ),
    setting(
        "lease_s",
        integer(2, 60),
        "5",
        "Seconds after which other nodes take over from one that is gone, with store = \"postgres\".",
    ),
    setting(
        "drain_s",
        integer(0, 3_600),
        "10",
        "Seconds over which a node that stops tells its connections to go elsewhere, with store = \"postgres\".",
    ),
    setting(
        "sqlite_synchronous",
        Kind::Choice(&["full", "off"]),
        "full",
        "\"off\" acknowledges before the disk has it and breaks the promise of durability: for tests only.",
    ),
    setting("workers", integer(0, 1024), "0", "Threads that run connections and actors. 0: one per core."),
    setting(
        "max_connections",
        integer(1, 10_000_000),
        "100000",
        "Connections at once; further ones wait in the kernel's backlog until one ends.",
    ),
    setting(
        "session_ttl_s",
        integer(1, 30 * 86_400),
        "600",
        "Seconds that a session without a connection is kept for its client to resume.",
    ),
    setting(
        "agent_timeout_s",
        integer(1, 86_400),
        "60",
        "Seconds that the agents of an audience may be without a connection. After between one and two times as \
         many the customer is back at the head of the queue.",
    ),
    setting(
        "session_buffer_events",
        integer(16, 10_000_000),
        "10000",
        "Events that wait for a session's acknowledgement; beyond them it ends with session_buffer_overflow.",
    ),
    setting(
        "session_buffer_bytes",
        integer(65_536, 16 * GIB),
        "8388608",
        "Bytes of events that wait for a session's acknowledgement; beyond them it ends likewise.",
    ),
    setting(
        "user_channels_max",
        integer(0, 100_000),
        "1000",
        "Channels that a user may own, those of their realms included; those of audiences and those that are \
         suspended don't count. Beyond them there is channel_quota_exceeded.",
    ),
    setting(
        "user_realms_max",
        integer(0, 100_000),
        "100",
        "Realms that a user may own; beyond them there is realm_quota_exceeded.",
    ),
    setting(
        "user_queues_max",
        integer(0, 100_000),
        "1000",
        "Queues that the realms of a user may have together; beyond them there is queue_quota_exceeded.",
    ),
    setting(
        "queue_members_max",
        integer(0, 100_000),
        "1000",
        "Members that a queue may have; beyond them there is queue_member_quota_exceeded.",
    ),
    setting(
        "user_upload_bytes_max",
        integer(0, 1 << 53),
        "0",
        "Bytes of files that a user may have sent and that are kept; 0 for any number. Beyond them there is \
         upload_quota_exceeded.",
    ),
    setting(
        "idle_passivate_s",
        integer(1, 86_400),
        "30",
        "Seconds after which what nobody uses leaves memory; it comes back from the store when asked for.",
    ),
    setting(
        "ice_urls",
        Kind::IceServers,
        "",
        "STUN and TURN servers for video calls: \"stun:host:3478\", \"turn:host:3478?transport=tcp\", \
         \"turns:host:5349\". begin_ice tells clients of them.",
    ),
    Setting {
        secret: true,
        ..setting(
            "turn_secret",
            Kind::Text,
            "",
            "The secret that the TURN servers share with this one (coturn: use-auth-secret, static-auth-secret); \
             clients get credentials that expire. Empty: the servers ask for none.",
        )
    },
    setting(
        "turn_ttl_s",
        integer(60, 7 * 86_400),
        "86400",
        "Seconds that credentials for TURN servers hold; a call that lasts longer can't find new ways.",
    ),
    Setting {
        secret: true,
        ..setting(
            "smtp_url",
            Kind::Text,
            "",
            "The server that takes mails: \"smtp://user:password@host:587?tls=required\" (STARTTLS), \
             \"smtps://user:password@host\", \"smtp://host:25\" (without TLS). With mail_from and page_url. Empty: \
             no mail goes out, and e-mail addresses can't be verified.",
        )
    },
    setting(
        "mail_from",
        Kind::Text,
        "",
        "Whom mails come from: \"chat@example.org\" or \"Name <chat@example.org>\".",
    ),
    setting(
        "page_url",
        Kind::Text,
        "",
        "The page that links in mails lead to: \"https://chat.example.org/console\"; what a link opens follows as \
         #/access/KEY.",
    ),
    setting(
        "jitsi_domain",
        Kind::Text,
        "",
        "The Jitsi server with rooms for group video: host, or host:port. discover_jitsi tells clients of it.",
    ),
    setting("jitsi_app_id", Kind::Text, "", "The app_id that the Jitsi server knows this one by."),
    Setting {
        secret: true,
        ..setting(
            "jitsi_secret",
            Kind::Text,
            "",
            "The app_secret that the Jitsi server shares with this one; clients get tokens that open a room for an \
             hour. Empty: the server asks for none.",
        )
    },
    setting(
        "webhook_allow_http",
        Kind::Bool,
        "false",
        "Whether webhooks may have URLs with http:, by which everybody on the way reads what is told.",
    ),
    setting(
        "webhook_allow_private",
        Kind::Networks,
        "",
        "Networks that webhooks may lead to although they are not public: \"10.1.0.0/16\". Operators of any realm \
         reach what is in them. Empty: none.",
    ),
    setting(
        "webhook_ca",
        Kind::Path,
        "",
        "Certificates (PEM) that receivers of webhooks may have beside those that browsers trust.",
    ),
    setting(
        "webhook_give_up_s",
        integer(1, 30 * 86_400),
        "259200",
        "Seconds after which it is given up to tell a webhook something. Until then it is tried again and again.",
    ),
    setting(
        "trusted_proxies",
        Kind::Networks,
        "",
        "Proxies whose X-Forwarded-For is believed: addresses and networks, \"10.0.0.0/8\". Empty: a client is who \
         connects.",
    ),
    setting(
        "geoip_database",
        Kind::Path,
        "",
        "A file in MaxMind's format (GeoLite2-City.mmdb or the like), read into memory at the start: queues with \
         ninchat_metadata \"geoip\" get a customer's place beside the address. Empty, or not there: the address only.",
    ),
    setting(
        "allowed_origins",
        Kind::Origins,
        "",
        "Origins beside the server's own whose pages may use the console's interfaces.",
    ),
    setting(
        "log_format",
        Kind::Choice(&["text", "json"]),
        "text",
        "Log lines for people (text) or for machines (json, an object per line).",
    ),
    setting(
        "log_level",
        Kind::Text,
        "info",
        "error, warn, info, debug or trace, also per module: \"info,levee_cluster=debug\".",
    ),
];
