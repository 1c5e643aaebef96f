//! Reads texts from standard input and writes how a voice should say them: `LANGUAGE<TAB>TEXT` a line, `\\n` for a line break.
//!
//! ```sh
//! printf 'en-US\tThat is $5.20.\n' | cargo run -p offhook-speakable --example read
//! ```
#![allow(clippy::print_stdout, reason = "an example")]

use offhook_speakable::speakable;

fn main() {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        if let Some((language, text)) = line.split_once('\t') {
            println!("{language}\t{text}\n\t{}", speakable(&text.replace("\\n", "\n"), language));
        }
    }
}
