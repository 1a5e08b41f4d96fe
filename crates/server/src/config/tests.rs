//! Sources, their order, and what is refused.

use super::sources::{Found, Origin, nearest};
use super::table::{Kind, SETTINGS, Setting};
use super::value::Value;
use super::*;
use std::path::Path;

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn from_environment(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(&Sources { variables: variables(pairs), ..Sources::default() })
}

fn from_file(text: &str) -> Result<Vec<Found>, ConfigError> {
    file::parse("levee.toml", text)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ConfigError>, message: &str) {
    assert_eq!(result.expect_err("refused").to_string(), message);
}

/// A folder that is removed at the end.
struct Folder(PathBuf);
impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("levee-config-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_table_is_sound() {
    for (index, setting) in SETTINGS.iter().enumerate() {
        assert!(setting.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", setting.name);
        assert!(setting.doc.ends_with('.') || setting.doc.ends_with('"'), "{}", setting.name);
        assert!(SETTINGS[..index].iter().all(|other| other.name != setting.name), "{}", setting.name);
        Value::parse(setting.kind, setting.default).expect("the default fits");
    }
}

#[test]
fn every_setting_changes_the_configuration() {
    let usual = from_environment(&[]).expect("the defaults fit");
    for setting in SETTINGS {
        let other = match setting.kind {
            // A word may be a slip.
            Kind::Text if setting.name == "blobs" => "./other".to_owned(),
            Kind::Text | Kind::Path => "other".to_owned(),
            Kind::Bool => (setting.default != "true").to_string(),
            Kind::Integer { max, .. } => max.to_string(),
            Kind::Choice(words) => {
                words.iter().find(|word| **word != setting.default).expect("two").to_string()
            }
            Kind::Address => "[::1]:9".into(),
            Kind::Hosts => "a.example:1,b.example:2".into(),
            Kind::Origins | Kind::Origin => "https://a.example".into(),
            Kind::IceServers => "stun:a.example".into(),
            Kind::Networks => "10.0.0.0/8,2001:db8::1".into(),
        };
        let mut pairs = vec![(setting.env(), other)];
        // These two come as a pair.
        for (one, two) in [("tls_cert", "LEVEE_TLS_KEY"), ("tls_key", "LEVEE_TLS_CERT")] {
            if setting.name == one {
                pairs.push((two.into(), "beside".into()));
            }
        }
        // These three come together.
        let mail = ["smtp_url", "mail_from", "page_url"];
        if mail.contains(&setting.name) {
            let others = mail.iter().filter(|name| **name != setting.name);
            pairs
                .extend(others.map(|name| (format!("LEVEE_{}", name.to_ascii_uppercase()), "beside".into())));
        }
        // So do these three.
        if ["postgres_url", "redis_url", "store"].contains(&setting.name) {
            pairs = [("LEVEE_STORE", "postgres"), ("LEVEE_POSTGRES_URL", "p"), ("LEVEE_REDIS_URL", "r")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec();
        }
        let changed = Config::load(&Sources { variables: pairs, ..Sources::default() }).expect("it fits");
        assert_ne!(changed, usual, "{} has no effect", setting.name);
    }
}

#[test]
fn a_shared_store_needs_its_two_addresses_and_others_need_none() {
    for (pairs, message) in [
        (&[("LEVEE_STORE", "postgres")][..], "store = \"postgres\" needs postgres_url"),
        (
            &[("LEVEE_STORE", "postgres"), ("LEVEE_POSTGRES_URL", "p")],
            "store = \"postgres\" needs redis_url: it carries letters between the nodes",
        ),
        (&[("LEVEE_POSTGRES_URL", "p")], "postgres_url is for store = \"postgres\""),
        (&[("LEVEE_REDIS_URL", "r")], "redis_url is for store = \"postgres\": other stores are for one node"),
    ] {
        refused(from_environment(pairs), message);
    }
}

#[test]
fn mail_takes_a_server_a_sender_and_a_page() {
    let (server, sender, page) =
        (("LEVEE_SMTP_URL", "smtp://x"), ("LEVEE_MAIL_FROM", "a@b.c"), ("LEVEE_PAGE_URL", "https://x"));
    for (pairs, message) in [
        (&[server][..], "smtp_url needs mail_from: whom mails come from"),
        (&[server, sender], "smtp_url needs page_url: where links in mails lead"),
        (&[sender], "mail_from and page_url are for smtp_url"),
        (&[page], "mail_from and page_url are for smtp_url"),
    ] {
        refused(from_environment(pairs), message);
    }
    let config = from_environment(&[server, sender, page]).expect("it fits");
    assert!(!format!("{config:?}").contains("smtp://x"), "it may hold a password");
}

#[test]
fn a_later_source_wins() {
    let folder = Folder::new("order");
    let path = folder.write("levee.toml", "workers = 2\nmax_connections = 20\nsession_ttl_s = 200\n");
    let sources = Sources {
        defaults: vec![("idle_passivate_s", "7".into())],
        file: Some(path.clone()),
        variables: variables(&[("LEVEE_MAX_CONNECTIONS", "30"), ("LEVEE_SESSION_TTL_S", "300")]),
        flags: vec![("session_ttl_s", "400".into())],
        ..Sources::default()
    };
    let values = Values::read(&sources).expect("it fits");
    let config = Config::from_values(&values).expect("it goes together");
    assert_eq!(
        (config.idle_passivate_s, config.workers, config.max_connections, config.session_ttl_s),
        (7, 2, 30, 400)
    );
    let origin = |name: &str| values.get(name).expect("set").1.to_string();
    assert_eq!(origin("idle_passivate_s"), "default");
    assert_eq!(origin("workers"), format!("{}:1", path.display()));
    assert_eq!(origin("max_connections"), "LEVEE_MAX_CONNECTIONS");
    assert_eq!(origin("session_ttl_s"), "--session-ttl-s");
}

#[test]
fn the_file_is_the_flags_or_the_environments_or_the_usual_one() {
    let folder = Folder::new("which");
    folder.write("levee.toml", "workers = 1");
    let second = folder.write("second.toml", "workers = 2");
    let third = folder.write("third.toml", "workers = 3");
    let workers = |sources: Sources| Config::load(&sources).expect("it fits").workers;
    let usual = Sources { folder: Some(folder.0.clone()), ..Sources::default() };
    assert_eq!(workers(usual.clone()), 1);
    let named = variables(&[("LEVEE_CONFIG", &second.to_string_lossy())]);
    let by_environment = Sources { variables: named, ..usual };
    assert_eq!(workers(by_environment.clone()), 2);
    assert_eq!(workers(Sources { file: Some(third), ..by_environment }), 3);
    let missing = Sources { file: Some("not/there.toml".into()), ..Sources::default() };
    assert!(matches!(Config::load(&missing), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    refused(
        from_file("listen = \"127.0.0.1:1\"\n\nsesion_ttl = 5\n"),
        "levee.toml:3: there is no setting `sesion_ttl` (did you mean `session_ttl_s`?)",
    );
    refused(
        from_environment(&[("LEVEE_LISTN", "x")]),
        "environment: there is no setting `LEVEE_LISTN` (did you mean `LEVEE_LISTEN`?)",
    );
    refused(from_file("zzz = 1"), "levee.toml:1: there is no setting `zzz`");
    refused(from_file("[server]\nlisten = 1"), "levee.toml:1: there is no setting `server`");
    assert!(from_environment(&[("LEVEEOTHER", "x"), ("PATH", "y")]).is_ok());
    assert_eq!(nearest("data_dri", ["data_dir".to_owned()].into_iter()).as_deref(), Some("data_dir"));
}

#[test]
fn wrong_types_name_file_line_and_key() {
    refused(
        from_file("# a comment\nworkers = \"two\"\n"),
        "levee.toml:2: `workers` must be a whole number, 0 to 1024, not the text \"two\"",
    );
    refused(
        from_file("tls_self_signed = 1"),
        "levee.toml:1: `tls_self_signed` must be true or false, not the number 1",
    );
    refused(
        from_file("workers = -1"),
        "levee.toml:1: `workers` must be a whole number, 0 to 1024, not the number -1",
    );
    refused(
        from_file("workers = 1025"),
        "levee.toml:1: `workers` must be a whole number, 0 to 1024, not \"1025\"",
    );
    refused(
        from_file("store = \"mysql\""),
        "levee.toml:1: `store` must be \"sqlite\" or \"postgres\" or \"memory\", not \"mysql\"",
    );
    refused(
        from_file("public_address = \"a:1\""),
        "levee.toml:1: `public_address` must be a list of host:port, not the text \"a:1\"",
    );
    refused(
        from_file("public_address = [1]"),
        "levee.toml:1: `public_address` must be a list of host:port, not a list with the number 1",
    );
    refused(
        from_file("listen = \"8430\""),
        "levee.toml:1: `listen` must be an IP address and a port, not \"8430\"",
    );
    assert!(
        matches!(from_file("workers ="), Err(ConfigError::Syntax { place, .. }) if place == "levee.toml:1")
    );
}

#[test]
fn hosts_origins_and_servers_are_checked() {
    let hosts = |text: &str| Value::parse(Kind::Hosts, text).is_ok();
    assert!(hosts("chat.example.org:443, [2001:db8::1]:443,10.0.0.1:80") && hosts(""));
    for bad in
        ["chat.example.org", "chat.example.org:0", "a b:1", ":1", "2001:db8::1:443", "http://a:1", "a:70000"]
    {
        assert!(!hosts(bad), "{bad}");
    }
    let origins = |text: &str| Value::parse(Kind::Origins, text).is_ok();
    assert!(origins("https://a.example,http://localhost:5173"));
    for bad in
        ["a.example", "https://a.example/", "https://a.example/path", "ftp://a.example", "*", "https://"]
    {
        assert!(!origins(bad), "{bad}");
    }
    let servers = |text: &str| Value::parse(Kind::IceServers, text).is_ok();
    assert!(servers("stun:a.example,turn:[2001:db8::1]:3478?transport=tcp, turns:10.0.0.1:5349"));
    for bad in
        ["a.example", "stun://a.example", "http:a", "stun:a?transport=tcp", "turn:a?transport=sctp", "turn:"]
    {
        assert!(!servers(bad), "{bad}");
    }
}

#[test]
fn tls_settings_go_together() {
    let tls = |pairs: &[(&str, &str)]| from_environment(pairs).map(|config| config.tls);
    assert_eq!(tls(&[]), Ok(Tls::Off));
    let files = Tls::Files { cert: "c".into(), key: "k".into() };
    assert_eq!(tls(&[("LEVEE_TLS_CERT", "c"), ("LEVEE_TLS_KEY", "k")]), Ok(files));
    refused(tls(&[("LEVEE_TLS_CERT", "c")]), "tls_cert needs tls_key beside it");
    refused(tls(&[("LEVEE_TLS_KEY", "k")]), "tls_key needs tls_cert beside it");
    let all = [("LEVEE_TLS_CERT", "c"), ("LEVEE_TLS_KEY", "k"), ("LEVEE_TLS_SELF_SIGNED", "true")];
    assert!(matches!(tls(&all), Err(ConfigError::Conflict(_))));
    refused(from_environment(&[("LEVEE_DATA_DIR", "")]).map(|_| ()), "data_dir can't be empty");
}

#[test]
fn what_is_printed_can_be_read_again() {
    let sources = Sources {
        flags: vec![("public_address", "a:1,b:2".into()), ("data_dir", "with \"quotes\"".into())],
        ..Sources::default()
    };
    let values = Values::read(&sources).expect("it fits");
    let printed = print(&values);
    assert!(printed.contains("# --data-dir") && printed.contains("# default"), "{printed}");
    let read = file::parse("printed", &printed).expect("it is a file of settings");
    assert_eq!(read.len(), SETTINGS.len());
    for found in read {
        assert_eq!(Some(&found.value), values.get(found.setting.name).map(|(value, _)| value));
    }
}

#[test]
fn secrets_are_masked() {
    let row =
        Setting { name: "token", kind: Kind::Text, default: "", secret: true, doc: "A made-up secret." };
    let (value, origin) = (Value::Text("hunter2".into()), Origin::Environment("LEVEE_TOKEN".into()));
    let printed = print::render([(&row, &value, &origin)].into_iter());
    assert_eq!(printed, "token = \"********\"  # LEVEE_TOKEN\n");
    assert!(file::read(Path::new("not/there")).is_err());
}
