//! What goes out to the servers of others: mail, by SMTP.
//!
//! It takes one thing at a time, and says whether that went out. What must go out for certain, in which order and
//! how often it is tried, is decided above. It never keeps anything, and knows neither the store nor the cluster.

mod smtp;
mod text;

pub use smtp::{Smtp, SmtpError};
