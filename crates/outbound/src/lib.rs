//! What goes out to the programs and servers of others: mail by SMTP, webhooks by HTTPS, and files to what looks at them.
//!
//! It takes one thing at a time, and says whether that went out. What must go out for certain, in which order and
//! how often it is tried, is decided above. It never keeps anything, and knows neither the store nor the cluster.

mod exchange;
mod post;
mod reach;
mod scan;
mod sign;
mod smtp;
mod text;

pub use post::{Answered, Failed, Poster};
pub use reach::{Reach, Unreachable};
pub use scan::{Contents, NoScanner, Scanner};
pub use sign::{Signer, public_keys};
pub use smtp::{Smtp, SmtpError};
