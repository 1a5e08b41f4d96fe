//! Mail: the way out that the settings name, as the node takes it.

use crate::config::Config;
use anyhow::{Context, Result};
use async_trait::async_trait;
use levee_cluster::{Mailer, Undelivered};
use levee_domain::mail::Mail;
use levee_outbound::{Smtp, SmtpError};
use std::sync::Arc;

#[derive(Debug)]
struct BySmtp(Smtp);

#[async_trait]
impl Mailer for BySmtp {
    fn takes(&self, address: &str) -> bool {
        Smtp::takes(address)
    }

    async fn send(&self, id: &str, mail: &Mail) -> Result<(), Undelivered> {
        self.0.send(id, mail).await.map_err(|error| Undelivered {
            hopeless: !matches!(error, SmtpError::Later(_)),
            // A server may repeat the address in what it says.
            reason: error.to_string().replace(mail.to.as_str(), "(the receiver)"),
        })
    }
}

/// The way out that the settings name, if they name one.
///
/// # Errors
/// When they can't be understood.
pub(crate) fn way(config: &Config) -> Result<Option<Arc<dyn Mailer>>> {
    let Some(mail) = &config.mail else { return Ok(None) };
    let smtp = Smtp::new(&mail.smtp_url, &mail.from, &mail.page).context("mail can't be sent")?;
    Ok(Some(Arc::new(BySmtp(smtp))))
}
