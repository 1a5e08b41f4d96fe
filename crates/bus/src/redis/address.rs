//! Where Redis is, and how it is connected to.

use crate::BusError;
use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo as _, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisError, RedisResult, TlsMode,
};
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a connection or an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// The kinds of addresses, for whoever got one wrong.
const KINDS: &str = "expected redis://host:port, redis-sentinel://host:port,…/name or \
                     redis-cluster://host:port,… (rediss… for TLS)";

/// Where Redis is. The text of it may hold a password: it is never shown.
#[derive(Clone)]
pub struct Address {
    kind: Kind,
    tls: bool,
    user: Option<String>,
    password: Option<String>,
    hosts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// One server.
    Plain,
    /// The server that Sentinel names.
    Sentinel(String),
    /// A Redis Cluster.
    Cluster,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts = self.hosts.join(",");
        match &self.kind {
            Kind::Plain => write!(f, "Redis at {hosts}"),
            Kind::Sentinel(name) => write!(f, "Redis as Sentinel at {hosts} names it {name}"),
            Kind::Cluster => write!(f, "Redis Cluster at {hosts}"),
        }
    }
}

impl FromStr for Address {
    type Err = BusError;

    fn from_str(text: &str) -> Result<Self, BusError> {
        let wrong = || BusError::Refused(KINDS.into());
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (tls, kind) = match scheme.strip_prefix("rediss") {
            Some(kind) => (true, kind),
            None => (false, scheme.strip_prefix("redis").ok_or_else(wrong)?),
        };
        let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or(("", login))) {
            Some((user, password)) => {
                ((!user.is_empty()).then(|| user.to_owned()), Some(password.to_owned()))
            }
            None => (None, None),
        };
        let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts: Vec<String> = hosts.split(',').map(str::to_owned).collect();
        let is_host = |host: &String| {
            host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok())
        };
        if !hosts.iter().all(is_host) {
            return Err(wrong());
        }
        let kind = match kind {
            "" if hosts.len() == 1 && name.is_empty() => Kind::Plain,
            "-sentinel" if !name.is_empty() => Kind::Sentinel(name.to_owned()),
            "-cluster" if name.is_empty() => Kind::Cluster,
            _ => return Err(wrong()),
        };
        Ok(Self { kind, tls, user, password, hosts })
    }
}

/// A connection that commands go through.
#[derive(Clone)]
pub(super) enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Wire {
    async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Publishes to a channel, and answers how many listen to it.
    pub(super) async fn publish(mut self, channel: String, body: Vec<u8>) -> RedisResult<u64> {
        let name = if matches!(self, Self::Cluster(_)) { "SPUBLISH" } else { "PUBLISH" };
        self.query(redis::cmd(name).arg(channel).arg(body)).await
    }

    /// Listens to a channel.
    pub(super) async fn subscribe(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Self::One(connection) => connection.subscribe(channel).await,
            Self::Cluster(connection) => connection.ssubscribe(channel).await,
        }
    }
}

/// Two connections: one to send, one to listen, so that neither waits for the other.
pub(super) struct Wires {
    pub(super) publish: Wire,
    pub(super) listen: Wire,
    pub(super) pushes: mpsc::Receiver<PushInfo>,
}

impl Address {
    fn urls(&self) -> impl Iterator<Item = String> {
        let scheme = if self.tls { "rediss" } else { "redis" };
        self.hosts.iter().map(move |host| format!("{scheme}://{host}"))
    }

    fn login(&self) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        login
    }

    async fn client(&self) -> RedisResult<Client> {
        match &self.kind {
            Kind::Sentinel(name) => {
                let tls = if self.tls { TlsMode::Secure } else { return self.by_sentinel(name, None).await };
                self.by_sentinel(name, Some(tls)).await
            }
            Kind::Plain | Kind::Cluster => {
                let url = self.urls().next().unwrap_or_default();
                Client::open(url.into_connection_info()?.set_redis_settings(self.login()))
            }
        }
    }

    async fn by_sentinel(&self, name: &str, tls: Option<TlsMode>) -> RedisResult<Client> {
        let mut node = SentinelNodeConnectionInfo::default().set_redis_connection_info(self.login());
        if let Some(tls) = tls {
            node = node.set_tls_mode(tls);
        }
        let sentinels: Vec<String> = self.urls().collect();
        let mut client = SentinelClient::build(sentinels, name, Some(node), SentinelServerType::Master)?;
        client.async_get_client().await
    }

    fn cluster(&self) -> ClusterClientBuilder {
        let mut builder = ClusterClient::builder(self.urls())
            .use_protocol(ProtocolVersion::RESP3)
            .connection_timeout(PATIENCE)
            .response_timeout(PATIENCE)
            .retries(2);
        if let Some(user) = &self.user {
            builder = builder.username(user);
        }
        if let Some(password) = &self.password {
            builder = builder.password(password);
        }
        builder
    }

    /// Connects. What is pushed beyond the room of `pushes` is lost, and noticed by its counter.
    pub(super) async fn connect(&self, room: usize) -> RedisResult<Wires> {
        let (sender, pushes) = mpsc::channel(room);
        let push = move |info: PushInfo| match sender.try_send(info) {
            Err(mpsc::error::TrySendError::Closed(_)) => Err(()),
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
        };
        let (publish, listen) = if self.kind == Kind::Cluster {
            let publish = self.cluster().build()?.get_async_connection().await?;
            let listen = self.cluster().push_sender(push).build()?.get_async_connection().await?;
            (Wire::Cluster(publish), Wire::Cluster(listen))
        } else {
            let client = self.client().await?;
            let config = || {
                AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(PATIENCE))
                    .set_response_timeout(Some(PATIENCE))
            };
            let publish = client.get_multiplexed_async_connection_with_config(&config()).await?;
            let listening = config().set_push_sender(push);
            let listen = client.get_multiplexed_async_connection_with_config(&listening).await?;
            (Wire::One(publish), Wire::One(listen))
        };
        Ok(Wires { publish, listen, pushes })
    }

    /// Refuses a Redis that will never do; one that can't be reached may come yet.
    pub(super) async fn check(&self) -> Result<(), BusError> {
        match self.try_out().await {
            Ok(Err(error)) if is_refusal(&error) => Err(BusError::Refused(format!("{self}: {error}"))),
            _ => Ok(()),
        }
    }

    /// Whether Redis answers, and lets us listen.
    ///
    /// # Errors
    /// [`BusError::Refused`] with what is wrong.
    pub async fn answers(&self) -> Result<(), BusError> {
        match self.try_out().await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(BusError::Refused(format!("{self}: {error}"))),
            Err(_) => Err(BusError::Refused(format!("{self} does not answer"))),
        }
    }

    async fn try_out(&self) -> Result<RedisResult<()>, tokio::time::error::Elapsed> {
        let trying = async {
            let mut wires = self.connect(16).await?;
            wires.listen.subscribe("levee:check").await
        };
        tokio::time::timeout(PATIENCE * 2, trying).await
    }
}

/// Whether trying again would not help.
fn is_refusal(error: &RedisError) -> bool {
    use redis::{ErrorKind, ServerErrorKind};
    matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported
    ) || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::NoPerm))
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_and_shown_without_the_password() {
        for (text, shown) in [
            ("redis://localhost:6379", "Redis at localhost:6379"),
            ("rediss://u:secret@h:1", "Redis at h:1"),
            ("redis://:secret@h:1", "Redis at h:1"),
            ("redis-sentinel://a:1,b:2/name", "Redis as Sentinel at a:1,b:2 names it name"),
            ("redis-cluster://u:secret@a:1,b:2", "Redis Cluster at a:1,b:2"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(format!("{address:?}"), shown, "{text}");
        }
        for wrong in [
            "",
            "localhost:6379",
            "redis://",
            "redis://h",
            "redis://a:1,b:2",
            "redis-sentinel://a:1",
            "http://a:1",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
