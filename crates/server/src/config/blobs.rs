//! Where files are kept: a folder, or a bucket of S3.

use super::{ConfigError, Store, Values, conflict};
use levee_store::blobs::s3::S3Settings;
use std::path::PathBuf;

/// Where files are kept.
#[derive(Clone)]
pub(crate) enum Blobs {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket.
    S3(Box<S3Settings>),
    /// Nowhere: several nodes have no folder in common unless one is named.
    Nowhere,
}

impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "in {}", path.display()),
            Self::S3(settings) => write!(f, "{settings:?}"),
            Self::Nowhere => f.write_str("nowhere"),
        }
    }
}

impl PartialEq for Blobs {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}
impl Eq for Blobs {}

impl Blobs {
    /// Reads the setting.
    ///
    /// # Errors
    /// When it names a bucket and can't be understood, and when it may be a slip: a folder is written as a path.
    pub(super) fn of(values: &Values, store: &Store) -> Result<Self, ConfigError> {
        let text = values.text("blobs");
        if text.starts_with("s3://") || text.starts_with("s3+http://") {
            return s3(text).map(|settings| Self::S3(Box::new(settings)));
        }
        Ok(match (text, store, values.path("data_dir")) {
            ("", Store::Postgres { .. }, _) => Self::Nowhere,
            ("", _, Some(data)) => Self::Folder(data.join("blobs")),
            ("", _, None) => Self::Nowhere,
            (text, ..) if !text.contains('/') || text.contains("://") => return Err(wrong()),
            (folder, ..) => Self::Folder(folder.into()),
        })
    }
}

/// What is wrong is not repeated: it may hold a key.
fn wrong() -> ConfigError {
    conflict(
        "blobs is a folder, as /path/to/folder or ./folder, or a bucket of S3, as \
         s3://KEY:SECRET@HOST/BUCKET?region=REGION or s3+http://… with KEY and SECRET escaped",
    )
}

/// Reads `s3://KEY:SECRET@HOST/BUCKET?region=…`.
fn s3(text: &str) -> Result<S3Settings, ConfigError> {
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (credentials, place) = address.rsplit_once('@').ok_or_else(wrong)?;
    let (access_key, secret) = credentials.split_once(':').ok_or_else(wrong)?;
    let (host, bucket) = place.split_once('/').ok_or_else(wrong)?;
    let plain = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text).decode_utf8().ok();
        decoded.filter(|decoded| !decoded.is_empty()).map(String::from)
    };
    let mut settings = S3Settings {
        endpoint: format!("{}://{host}", if scheme == "s3" { "https" } else { "http" }),
        bucket: bucket.trim_end_matches('/').to_owned(),
        region: "us-east-1".into(),
        access_key: plain(access_key).ok_or_else(wrong)?,
        secret: plain(secret).ok_or_else(wrong)?,
        allow_http: scheme != "s3",
        path_style: true,
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("region", region)) if !region.is_empty() => settings.region = region.to_owned(),
            Some(("style", "path")) => settings.path_style = true,
            Some(("style", "host")) => settings.path_style = false,
            _ => return Err(wrong()),
        }
    }
    if host.is_empty() || settings.bucket.is_empty() || settings.bucket.contains('/') {
        return Err(wrong());
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn read(text: &str) -> Result<Blobs, ConfigError> {
        let variables = vec![("LEVEE_BLOBS".to_owned(), text.to_owned())];
        let sources = Sources { variables, ..Sources::default() };
        Blobs::of(&Values::read(&sources)?, &Store::Sqlite)
    }

    #[test]
    fn a_folder_is_a_path_and_a_word_may_be_a_slip() {
        for folder in ["/srv/blobs", "./blobs", "../blobs", "data/blobs"] {
            assert_eq!(read(folder), Ok(Blobs::Folder(folder.into())), "{folder}");
        }
        for wrong in ["nonsense", "s3", "s3:bucket", ".", "gs://bucket/x", "https://s3.example/bucket"] {
            let Err(ConfigError::Conflict(text)) = read(wrong) else { panic!("{wrong}") };
            for form in ["/path/to/folder", "./folder", "s3://KEY", "s3+http://"] {
                assert!(text.contains(form), "{form}: {text}");
            }
        }
    }

    #[test]
    fn a_bucket_is_read_with_all_that_it_takes() {
        let all = s3("s3://key:se%2Fcret%40@s3.example:9000/files?region=eu-1&style=host").unwrap();
        assert_eq!((all.endpoint.as_str(), all.bucket.as_str()), ("https://s3.example:9000", "files"));
        assert_eq!((all.access_key.as_str(), all.secret.as_str()), ("key", "se/cret@"));
        assert_eq!((all.region.as_str(), all.path_style, all.allow_http), ("eu-1", false, false));
        let plain = s3("s3+http://key:secret@127.0.0.1:9000/files").unwrap();
        assert_eq!(
            (plain.endpoint.as_str(), plain.path_style, plain.allow_http),
            ("http://127.0.0.1:9000", true, true)
        );
        for wrong in [
            "s3://host/bucket",
            "s3://key@host/bucket",
            "s3://key:secret@host",
            "s3://key:secret@host/",
            "s3://key:secret@/bucket",
            "s3://key:secret@host/a/b",
            "s3://:secret@host/bucket",
            "s3://key:secret@host/bucket?reigon=x",
        ] {
            assert!(s3(wrong).is_err(), "{wrong}");
        }
    }
}
