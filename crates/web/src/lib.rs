//! The pages: the console, the widget and the demo shop, built by Vite and embedded here.
//!
//! Without a build (no Node on the machine) each page is one that says how to make it.

use rust_embed::{Embed, EmbeddedFile};
use std::borrow::Cow;

#[derive(Embed)]
#[folder = "dist/"]
struct Built;

/// A file of the pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The content.
    pub body: Cow<'static, [u8]>,
    /// The content's type.
    pub content_type: &'static str,
    /// A hash of the content, to recognise it by.
    pub etag: String,
    /// Whether its name changes with its content, so that it can be kept for ever.
    pub immutable: bool,
    /// Whether it is what was asked for, or the page that says how to build it.
    pub built: bool,
}

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Not built</title>\
<h1>The pages of this server were not built</h1><p>They are made with Node 20 or newer: run \
<code>npm ci &amp;&amp; npm run build</code> in <code>crates/web</code>, then <code>cargo build</code> again; \
or run <code>cargo xtask demo</code>, which does both.</p></html>";

/// The file at a path such as `console/index.html`. `None` if the pages are built and have no such file.
pub fn page(path: &str) -> Option<Page> {
    if let Some(file) = Built::get(path) {
        return Some(found(path, file));
    }
    (!is_built()).then(|| Page {
        body: Cow::Borrowed(NOT_BUILT.as_bytes()),
        content_type: "text/html; charset=utf-8",
        etag: "not-built".into(),
        immutable: false,
        built: false,
    })
}

/// Whether the pages were built.
pub fn is_built() -> bool {
    Built::get("widget.js").is_some() && Built::get("console/index.html").is_some()
}

fn found(path: &str, file: EmbeddedFile) -> Page {
    let content_type = match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "json" | "map" => "application/json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    };
    let etag = file.metadata.sha256_hash()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    Page { body: file.data, content_type, etag, immutable: path.contains("/assets/"), built: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_there_or_tells_how_to_build_it() {
        let page = page("console/index.html").unwrap();
        assert_eq!(page.built, is_built());
        assert!(page.content_type.starts_with("text/html"));
    }

    #[test]
    fn nothing_outside_the_pages_can_be_had() {
        for path in ["../Cargo.toml", "/etc/passwd", "console/../../Cargo.toml"] {
            assert!(page(path).is_none_or(|page| !page.built), "{path}");
        }
    }
}
