//! Scanners of files: something that looks at what is in them and says whether anybody may see it.

mod command;
mod http;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use rustls::ClientConfig;
use std::io;
use std::sync::Arc;
use url::Url;

/// A file's bytes in their order. After an error comes nothing more, and without one they are complete.
pub type Contents = BoxStream<'static, io::Result<Bytes>>;

/// Why something is no scanner.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoScanner {
    /// It is no address that bytes can be posted to.
    #[error("the address must be http://HOST/… or https://HOST/…, without a user, a password or a fragment")]
    Address,
    /// It is no command.
    #[error("the command can't be read: a quote is not closed, or there is nothing")]
    Command,
    /// There is no way to speak TLS.
    #[error("TLS can't be set up: {0}")]
    Tls(String),
}

/// What looks at files.
#[derive(Debug)]
pub struct Scanner(Kind);

#[derive(Debug)]
enum Kind {
    /// A command and its arguments.
    Command(String, Vec<String>),
    /// A server, whose operator is ours: it may be anywhere.
    Server(Url, Arc<ClientConfig>),
}

impl Scanner {
    /// Reads what was set: an address, or a command with arguments, quoted as for a shell. No shell runs it.
    ///
    /// # Errors
    /// See [`NoScanner`].
    pub fn read(text: &str) -> Result<Self, NoScanner> {
        if text.starts_with("http://") || text.starts_with("https://") {
            let url = Url::parse(text).map_err(|_| NoScanner::Address)?;
            let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
            if !bare {
                return Err(NoScanner::Address);
            }
            let tls = crate::exchange::trusting(Vec::new()).map_err(|e| NoScanner::Tls(e.to_string()))?;
            return Ok(Self(Kind::Server(url, tls)));
        }
        let mut words = shlex::split(text).unwrap_or_default().into_iter();
        let program = words.next().filter(|program| !program.is_empty()).ok_or(NoScanner::Command)?;
        Ok(Self(Kind::Command(program, words.collect())))
    }

    /// Has a file of so many bytes looked at: whether nothing speaks against it. Whoever drops this ends it.
    ///
    /// # Errors
    /// Why that can't be said now.
    pub async fn scan(&self, size: u64, contents: Contents) -> Result<bool, String> {
        match &self.0 {
            Kind::Command(program, arguments) => command::scan(program, arguments, contents).await,
            Kind::Server(url, tls) => http::scan(url, tls, size, contents).await,
        }
    }
}
