//! Where the bucket is, and who we are there.

use std::fmt;

use super::super::{BlobError, Result};

/// Where the bucket is, and who we are there.
#[derive(Clone)]
pub struct S3Settings {
    /// The server, as `https://host` or `https://host:port`.
    pub endpoint: String,
    /// The bucket, which must be there.
    pub bucket: String,
    /// The region, which is a part of every signature.
    pub region: String,
    /// The access key's id.
    pub access_key: String,
    /// The access key's secret.
    pub secret: String,
    /// Whether an endpoint may be `http://`: everything but the secret is readable on the way.
    pub allow_http: bool,
    /// Whether the bucket is the beginning of the path; otherwise it is the beginning of the host's name.
    pub path_style: bool,
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bucket {} at {} in {}", self.bucket, self.endpoint, self.region)
    }
}

impl S3Settings {
    /// The endpoint as the client wants it: with the bucket in the host's name, unless that is in the path.
    pub(super) fn whole_endpoint(&self) -> Result<String> {
        let wrong = |why: &str| BlobError::Unavailable(format!("the endpoint {} {why}", self.endpoint));
        let (scheme, host) = self.endpoint.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
        match scheme {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err(wrong("is not https")),
        }
        let host = host.trim_end_matches('/');
        let bucket = &self.bucket;
        let whole = if self.path_style { host.to_owned() } else { format!("{bucket}.{host}") };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        if bucket.is_empty() || !bucket.bytes().all(plain) || host.is_empty() || !host.bytes().all(plain) {
            return Err(wrong("or its bucket has no usable name"));
        }
        Ok(format!("{scheme}://{whole}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::S3Blobs;
    use super::*;

    fn settings(endpoint: &str, path_style: bool, allow_http: bool) -> S3Settings {
        S3Settings {
            endpoint: endpoint.into(),
            bucket: "levee".into(),
            region: "here".into(),
            access_key: "me".into(),
            secret: "hidden".into(),
            allow_http,
            path_style,
        }
    }

    #[test]
    fn the_bucket_is_in_the_path_or_in_the_hosts_name() {
        let whole = |at, path_style| settings(at, path_style, false).whole_endpoint().ok();
        assert_eq!(whole("https://s3.example/", true).as_deref(), Some("https://s3.example"));
        assert_eq!(whole("https://s3.example:9000", false).as_deref(), Some("https://levee.s3.example:9000"));
        for wrong in ["s3.example", "http://s3.example", "ftp://s3.example", "https://", "https://a b"] {
            assert_eq!(whole(wrong, true), None, "{wrong}");
        }
        assert!(S3Blobs::new(&settings("http://s3.example", true, true)).is_ok(), "http where it is allowed");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let settings = settings("https://s3.example", true, false);
        let client = S3Blobs::new(&settings).unwrap();
        assert!(!format!("{settings:?} {client:?}").contains("hidden"));
    }
}
