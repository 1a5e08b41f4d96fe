//! The Helm chart: a real Helm lints it and renders it, and what it renders is looked at.

#[cfg(test)]
mod tests;

use crate::generate::settings;
use crate::repo::Repo;
use crate::{shell, tools};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// A way to install the chart: values beside the defaults, and what must and must not be rendered then.
struct Case {
    name: &'static str,
    set: &'static [&'static str],
    has: &'static [&'static str],
    lacks: &'static [&'static str],
}

static CASES: &[Case] = &[
    Case {
        name: "the defaults",
        set: &[],
        has: &[
            "kind: StatefulSet",
            "replicas: 1",
            "kind: NetworkPolicy",
            "volumeClaimTemplates:",
            "runAsNonRoot: true",
            "readOnlyRootFilesystem: true",
            "allowPrivilegeEscalation: false",
            "automountServiceAccountToken: false",
            "enableServiceLinks: false",
            "path: /healthz",
            "path: /readyz",
            "checksum/config:",
            "listen = \"0.0.0.0:8430\"",
            "data_dir = \"/var/lib/levee\"",
            "session_ttl_s = 600",
        ],
        lacks: &["kind: Ingress", "kind: ServiceMonitor", "kind: PodDisruptionBudget", "tls_cert ="],
    },
    Case {
        name: "everything on",
        set: &[
            "ingress.enabled=true",
            "ingress.host=chat.example.org",
            "ingress.tls.secretName=chat-tls",
            "metrics.serviceMonitor.enabled=true",
            "podDisruptionBudget.enabled=true",
            "config.session_buffer_bytes=16777216",
            "config.public_address={chat.example.org:443}",
        ],
        has: &[
            "kind: Ingress",
            "host: \"chat.example.org\"",
            "secretName: chat-tls",
            "kind: ServiceMonitor",
            "kind: PodDisruptionBudget",
            "session_buffer_bytes = 16777216",
            "public_address = [\"chat.example.org:443\"]",
        ],
        lacks: &[],
    },
    Case {
        name: "TLS by the node itself",
        set: &["tls.existingSecret=levee-cert"],
        has: &["scheme: HTTPS", "tls_cert = \"/etc/levee/tls/tls.crt\"", "secretName: levee-cert"],
        lacks: &["scheme: HTTP\n"],
    },
    Case {
        name: "TURN servers",
        set: &["config.ice_urls={turn:turn.example.org:3478}", "turn.existingSecret=levee-turn"],
        has: &["ice_urls = [\"turn:turn.example.org:3478\"]", "name: LEVEE_TURN_SECRET", "name: levee-turn"],
        lacks: &[],
    },
    Case {
        name: "mail",
        set: &[
            "config.mail_from=chat@example.org",
            "config.page_url=https://chat.example.org/console",
            "mail.existingSecret=levee-smtp",
        ],
        has: &[
            "mail_from = \"chat@example.org\"",
            "page_url = \"https://chat.example.org/console\"",
            "name: LEVEE_SMTP_URL",
            "name: levee-smtp",
        ],
        lacks: &["LEVEE_TURN_SECRET"],
    },
    Case {
        name: "files in a bucket",
        set: &[
            "config.files_origin=https://files.example.org",
            "files.existingSecret=levee-bucket",
            "ingress.enabled=true",
            "ingress.host=chat.example.org",
        ],
        has: &[
            "files_origin = \"https://files.example.org\"",
            "name: LEVEE_BLOBS",
            "name: levee-bucket",
            "host: \"files.example.org\"",
            "path: /files",
        ],
        lacks: &["LEVEE_SMTP_URL"],
    },
    Case {
        name: "a file of places behind a proxy",
        set: &["config.trusted_proxies={10.0.0.0/8}", "geoip.existingClaim=places", "geoip.file=city.mmdb"],
        has: &[
            "trusted_proxies = [\"10.0.0.0/8\"]",
            "name: LEVEE_GEOIP_DATABASE",
            "value: \"/var/lib/geoip/city.mmdb\"",
            "claimName: places",
        ],
        lacks: &["LEVEE_TURN_SECRET"],
    },
    Case {
        name: "a volume that is there",
        set: &["persistence.existingClaim=kept", "networkPolicy.enabled=false"],
        has: &["claimName: kept"],
        lacks: &["volumeClaimTemplates:", "kind: NetworkPolicy"],
    },
];

/// Values that the chart's schema must refuse.
static REFUSED: &[(&str, &str)] = &[
    ("replicas=2", "two nodes can't share an embedded store"),
    ("config.sesion_ttl_s=5", "a setting that does not exist"),
    ("config.session_ttl_s=soon", "a setting of the wrong type"),
    ("config.store=postgres", "a store that the chart does not offer"),
    ("config.sqlite_synchronous=off", "acknowledging what is not on the disk"),
    ("service.port=0", "a port that does not exist"),
    ("persistense.size=1Gi", "a value that does not exist"),
];

/// Lints and renders the chart.
///
/// # Errors
/// When Helm refuses what is right, renders what is wrong, or accepts what its schema should refuse.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let helm = tools::helm(repo)?;
    let chart = repo.root.join("helm/levee");
    let scratch = repo.scratch("helm")?;
    let helm = |arguments: &[&str], set: &[&str]| {
        let mut command = Command::new(&helm);
        // Nobody's own repositories and plugins take part.
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, &scratch);
        }
        command.args(arguments);
        for value in set {
            command.arg("--set").arg(value);
        }
        command
    };
    let path = chart.to_string_lossy().into_owned();
    shell::run(&mut helm(&["lint", "--strict", &path], &[]))?;
    for case in CASES {
        let rendered = shell::output(&mut helm(&["template", "levee", &path], case.set))?;
        check(case, &rendered)?;
        println!("rendered with {}: as expected", case.name);
    }
    for (set, why) in REFUSED {
        let (accepted, _) = shell::quiet(&mut helm(&["template", "levee", &path], &[set]))?;
        if accepted {
            bail!("the chart accepts --set {set}: {why}");
        }
        println!("refused --set {set}: {why}");
    }
    versions(&chart)
}

fn check(case: &Case, rendered: &str) -> Result<()> {
    for text in case.has {
        if !rendered.contains(text) {
            bail!("with {}, the chart does not render `{}`", case.name, text.trim());
        }
    }
    for text in case.lacks {
        if rendered.contains(text) {
            bail!("with {}, the chart renders `{}`", case.name, text.trim());
        }
    }
    let known = settings();
    for line in rendered.lines() {
        let Some((name, _)) = line.trim().split_once(" = ") else { continue };
        if !known.contains(&name) {
            bail!(
                "with {}, the chart writes the setting `{name}`, which the server does not know",
                case.name
            );
        }
    }
    Ok(())
}

/// The chart deploys the version that it is released with.
fn versions(chart: &Path) -> Result<()> {
    let text = std::fs::read_to_string(chart.join("Chart.yaml"))?;
    let wanted = format!("appVersion: \"{}\"", env!("CARGO_PKG_VERSION"));
    if !text.contains(&wanted) {
        bail!("helm/levee/Chart.yaml must say `{wanted}`");
    }
    Ok(())
}
