//! A PostgreSQL server of one's own.

use crate::Result;
use crate::process::{self, Server, Signal, free_port};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// What it says when the one before has not quite gone.
const STILL_THERE: &str = "pre-existing shared memory block";
/// How often it is started then.
const TRIES: usize = 25;

/// Whom PostgreSQL runs as when we are root, which it refuses to be.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// What is used of it.
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "psql", "pg_isready"];

/// A PostgreSQL server with a database.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    user: Option<String>,
    folder: tempfile::TempDir,
    port: u16,
    server: Option<Server>,
    settings: Vec<String>,
}

impl Postgres {
    /// Makes a server on a free port and starts it, with further settings as `name=value`.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn start(settings: &[&str]) -> Result<Self> {
        let programs = programs().ok_or("PostgreSQL is not installed: apt-get install postgresql")?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let user = if process::is_root() { Some(user()?) } else { None };
        let mut postgres = Self { programs, user, folder, port: free_port(), server: None, settings };
        if let Some(user) = &postgres.user {
            process::run(Command::new("chown").arg(user).arg(postgres.folder.path()))?;
        }
        let data = postgres.data();
        let mut make = postgres.program("initdb");
        make.args(["--no-sync", "--auth=trust", "--username=levee", "--encoding=UTF8", "--locale=C", "-D"]);
        process::run(make.arg(&data))?;
        postgres.again()?;
        Ok(postgres)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.database_url("postgres")
    }

    /// Where one of its databases is.
    pub fn database_url(&self, database: &str) -> String {
        format!("postgres://levee@127.0.0.1:{}/{database}", self.port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes one more database and answers where it is.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub fn database(&self, name: &str) -> Result<String> {
        self.sql(&format!("CREATE DATABASE {name}"))?;
        Ok(self.database_url(name))
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub fn sql(&self, statement: &str) -> Result<String> {
        let mut psql = self.program("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", statement]);
        process::run(psql.arg(self.url()))
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn end(&mut self, signal: Signal) -> Result<()> {
        match self.server.take() {
            Some(mut server) => server.end(signal),
            None => Ok(()),
        }
    }

    /// Starts it again on the same data and port.
    ///
    /// # Errors
    /// When it does not start.
    pub fn again(&mut self) -> Result<()> {
        let mut tries = 0;
        let server = loop {
            match self.try_again() {
                // After a kill, what served connections takes a moment longer to go than the one that was killed.
                Err(error) if error.contains(STILL_THERE) && tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(200));
                }
                outcome => break outcome?,
            }
        };
        self.server = Some(server);
        Ok(())
    }

    fn try_again(&self) -> Result<Server> {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data());
        let port = format!("port={}", self.port);
        let fixed = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200", &port];
        for setting in fixed.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.arg("-c").arg(setting);
        }
        let mut server = Server::start(command, &self.folder.path().join("log"))?;
        let port = self.port.to_string();
        server.wait_until(|| {
            let mut asks = self.program("pg_isready");
            process::run(asks.args(["--quiet", "--host=127.0.0.1", "--port", &port])).is_ok()
        })?;
        Ok(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of PostgreSQL's programs, as a user whom it accepts.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = match &self.user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", &group(user), "--clear-groups"]).arg(path);
                command
            }
            None => Command::new(path),
        };
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        command
    }
}

/// The folder of PostgreSQL's programs: Debian keeps it out of the path.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    folders.sort();
    folders.reverse();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let has_all = |folder: &PathBuf| PROGRAMS.iter().all(|program| folder.join(program).is_file());
    folders.into_iter().find(has_all)
}

fn user() -> Result<String> {
    let exists = |user: &&str| process::run(Command::new("id").arg("-u").arg(user)).is_ok();
    let found = USERS.into_iter().find(exists).map(str::to_owned);
    found.ok_or_else(|| "PostgreSQL does not run as root, and there is no user for it".into())
}

fn group(user: &str) -> String {
    let group = process::run(Command::new("id").args(["-g", user])).unwrap_or_default();
    group.trim().to_owned()
}
