//! What goes out to the servers of others: mail by SMTP, and webhooks by HTTPS.
//!
//! It takes one thing at a time, and says whether that went out. What must go out for certain, in which order and
//! how often it is tried, is decided above. It never keeps anything, and knows neither the store nor the cluster.

mod post;
mod reach;
mod sign;
mod smtp;
mod text;

pub use post::{Answered, Failed, Poster};
pub use reach::{Reach, Unreachable};
pub use sign::{Signer, public_keys};
pub use smtp::{Smtp, SmtpError};
