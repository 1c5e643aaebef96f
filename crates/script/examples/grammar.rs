//! Prints the grammar of a shipped agent: `grammar NAME`.
use std::io::Write;
use std::sync::Arc;

use offhook_script::{Dialog, Script, shipped};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "pizza".to_owned());
    let file = shipped(&name).ok_or("no such agent")?;
    let dialog = Dialog::new(Arc::new(Script::from_toml(file)?));
    std::io::stdout().lock().write_all(dialog.grammar().as_bytes())?;
    Ok(())
}
