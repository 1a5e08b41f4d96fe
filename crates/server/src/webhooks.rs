//! Webhooks: the way to their receivers that the settings allow, as the node takes it.

use crate::config::Config;
use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use levee_cluster::{Answered, Call, Caller, SigningKey};
use levee_domain::hook::Format;
use levee_outbound::{Poster, Reach, Signer, public_keys};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use std::sync::Arc;

#[derive(Debug)]
struct ByHttp(Poster);

#[async_trait]
impl Caller for ByHttp {
    async fn call(&self, call: Call<'_>) -> Result<Answered, String> {
        let signer = Signer::read(&call.key.kid, &call.key.secret).ok_or("the key can't be read")?;
        let document = signer.document(call.aud, call.exp, call.event, call.event_id, call.body);
        let format = ("X-Ninchat-Format", call.format.name());
        let answered = match call.format {
            Format::Default => {
                let signature = signer.sign(&document);
                self.0.post(call.url, &[format, ("X-Ninchat-Signature", &signature)], document).await
            }
            Format::Wrapped => self.0.post(call.url, &[format], signer.wrap(&document)).await,
        };
        let levee_outbound::Answered { status, retry_after, content_type, body } =
            answered.map_err(|error| error.to_string())?;
        Ok(Answered { status, retry_after, content_type, body })
    }

    fn draw(&self) -> Option<Vec<u8>> {
        Signer::draw()
    }

    fn public(&self, keys: &[&SigningKey]) -> Value {
        let signers = keys.iter().filter_map(|key| Signer::read(&key.kid, &key.secret));
        let signers: Vec<_> = signers.collect();
        public_keys(signers.iter().map(|signer| (signer.kid(), signer.public())))
    }
}

/// The way that the settings allow.
///
/// # Errors
/// When a file can't be read.
pub(crate) fn way(config: &Config) -> Result<Arc<dyn Caller>> {
    let reach =
        Reach { allow_http: config.webhook_allow_http, allow_private: config.webhook_allow_private.clone() };
    let further = match &config.webhook_ca {
        None => Vec::new(),
        Some(path) => {
            let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let read = read.with_context(|| format!("webhook_ca: {}", path.display()))?;
            if read.is_empty() {
                bail!("webhook_ca: {} has no certificate", path.display());
            }
            read
        }
    };
    Ok(Arc::new(ByHttp(Poster::new(reach, further).context("webhook_ca")?)))
}
