//! Starts PostgreSQL and Redis for tests that are not written in Rust: says where they are, and ends them when its
//! input ends.

use levee_testbed::{Postgres, Redis};
use std::io::Read as _;

fn main() -> Result<(), String> {
    let (postgres, redis) = (Postgres::start(&[])?, Redis::start(&[])?);
    println!("{}", serde_json::json!({"postgres": postgres.url(), "redis": redis.url()}));
    let read = std::io::stdin().read_to_end(&mut Vec::new());
    read.map(drop).map_err(|error| error.to_string())
}
