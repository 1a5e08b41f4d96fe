//! `demo`: a node with a demo organisation, made through the protocol at its first start.

use crate::config::Config;
use crate::{logs, serve};
use anyhow::{Context, Result, bail};
use levee_client::{Address, RawSocket};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

/// The demo organisation: kept in the data folder, the same at the next start.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Demo {
    realm_id: String,
    operator: Login,
    agent: Login,
}

/// A login for the console.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Login {
    name: String,
    email: String,
    password: String,
    user_id: String,
}

/// Runs a demo node until SIGTERM or SIGINT.
pub(crate) fn run(mut config: Config) -> Result<()> {
    logs::start(&config);
    config.listen = free(config.listen)?;
    let file = config.data_dir.join("demo.json");
    actix_rt::System::new().block_on(async {
        let demo = match read(&file)? {
            Some(demo) => demo,
            None => {
                // The page needs the realm's id, which only seeding tells: seed first, then serve.
                let running = serve::start(&config, None).await?;
                let address = running.address();
                let demo = seed(&config, address).await.context("making the demo organisation")?;
                write(&file, &demo)?;
                running.stop().await;
                demo
            }
        };
        let running = serve::start(&config, Some(demo.realm_id.clone())).await?;
        announce(&config, running.address(), &demo);
        serve::stop_signal().await?;
        running.stop().await;
        Ok(())
    })
}

fn announce(config: &Config, address: SocketAddr, demo: &Demo) {
    let scheme = if config.tls == crate::config::Tls::Off { "http" } else { "https" };
    println!("Levee's demo is running. Its data is in {}.\n", config.data_dir.display());
    println!("  shop with the widget  {scheme}://{address}/demo/");
    println!("  console for agents    {scheme}://{address}/console/\n");
    for (role, login) in [("agent", &demo.agent), ("operator", &demo.operator)] {
        println!("  {role:<9} {}  password {}", login.email, login.password);
    }
    println!("\nStop it with Ctrl+C.");
}

/// The address, or one with a free port if that one is taken.
fn free(wanted: SocketAddr) -> Result<SocketAddr> {
    match TcpListener::bind(wanted) {
        Ok(_) => Ok(wanted),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let any = TcpListener::bind(SocketAddr::new(wanted.ip(), 0)).context("no port is free")?;
            Ok(any.local_addr()?)
        }
        Err(error) => Err(error).with_context(|| format!("can't listen on {wanted}")),
    }
}

fn read(file: &Path) -> Result<Option<Demo>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(serde_json::from_str(&text).with_context(|| format!("{}", file.display()))?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

fn write(file: &Path, demo: &Demo) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    // The passwords are nobody else's business.
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut out = options.open(file).with_context(|| file.display().to_string())?;
    out.write_all(serde_json::to_string_pretty(demo)?.as_bytes())?;
    out.sync_all().with_context(|| file.display().to_string())
}

/// Makes the organisation as any client would.
async fn seed(config: &Config, address: SocketAddr) -> Result<Demo> {
    if config.tls != crate::config::Tls::Off {
        bail!("the first start of the demo is without TLS; start it once without, then with");
    }
    let server = Address::plain(&address.ip().to_string(), address.port());
    let (mut operator, operator_login) = sign_up(&server, "Olivia Operator", "operator").await?;
    let (_agent, agent_login) = sign_up(&server, "Aino Agent", "agent").await?;
    let mut ids = 0;
    let mut ask = async |header: Value| -> Result<Value> {
        let mut header = header;
        ids += 1;
        header["action_id"] = ids.into();
        let event = operator.ask(header.clone(), &[]).await?;
        if event.name() == "error" {
            bail!("{}: {}", header["action"], event.error_type());
        }
        Ok(Value::Object(event.header().clone()))
    };
    let realm = ask(json!({"action": "create_realm", "realm_attrs": {"name": "Fjell & Fjord"}})).await?;
    let realm_id = realm["realm_id"].as_str().context("realm_id")?.to_owned();
    ask(json!({"action": "add_member", "realm_id": realm_id, "user_id": agent_login.user_id})).await?;
    let mut queues = Vec::new();
    for name in ["Customer service", "Orders and returns"] {
        let queue = ask(json!({"action": "create_queue", "realm_id": realm_id,
            "queue_attrs": {"name": name, "upload": "member"}}))
        .await?;
        for login in [&agent_login, &operator_login] {
            ask(json!({"action": "add_member", "queue_id": queue["queue_id"], "user_id": login.user_id}))
                .await?;
        }
        queues.push(queue["queue_id"].clone());
    }
    for (from, to) in [(0, 1), (1, 0)] {
        ask(json!({"action": "update_queue", "queue_id": queues[from],
            "queue_settings": {"transfer_queue_ids": [queues[to]]}}))
        .await?;
    }
    Ok(Demo { realm_id, operator: operator_login, agent: agent_login })
}

/// Makes a user with an e-mail identity and a generated password.
async fn sign_up(server: &Address, name: &str, mailbox: &str) -> Result<(RawSocket, Login)> {
    let password = levee_proto::ids::from_bytes(0, &rand::random::<[u8; 10]>())[2..].to_owned();
    let email = format!("{mailbox}@demo.example");
    let mut socket = RawSocket::connect(server).await?;
    let create = json!({"action": "create_session", "message_types": ["ninchat.com/*"],
        "user_attrs": {"name": name, "guest": false}, "identity_type_new": "email",
        "identity_name_new": email, "identity_auth_new": password});
    socket.action(create, &[]).await?;
    let Some(event) = socket.event().await? else { bail!("the connection was closed") };
    if event.name() != "session_created" {
        bail!("create_session: {}", event.error_type());
    }
    let user_id = event.str("user_id").to_owned();
    Ok((socket, Login { name: name.to_owned(), email, password, user_id }))
}
