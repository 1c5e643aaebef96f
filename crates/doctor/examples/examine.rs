//! Examines a server on this machine, and prints what was found as one JSON object.
//!
//! ```sh
//! cargo run -p offhook-doctor --example examine -- http://127.0.0.1:5000/voice
//! ```
#![allow(clippy::print_stdout, reason = "an example")]

use offhook_doctor::{Options, examine};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().find(|arg| arg.contains("://")).unwrap_or_default();
    let report = examine(&Options { local: true, ..Options::new(&url) }, |_| {}).await?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
