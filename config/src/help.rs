//! The text of `--help`, made from the items.

use crate::cli::PLAIN;
use crate::docs::default_text;
use crate::items::Item;
use crate::kinds::Shape;
use crate::settings::ITEMS;

/// The widest line, in columns.
const WIDTH: usize = 96;
/// Where the explanations begin.
const INDENT: usize = 34;

/// The whole text, without a newline at its end.
pub(crate) fn text() -> String {
    let mut text = format!("{HEAD}\n");
    let mut section = "";
    for item in ITEMS {
        if item.section != section {
            section = item.section;
            text.push_str(&format!("\n{section}:\n"));
        }
        let left = if item.positional { format!("  {}", item.value) } else { flags(item) };
        // Most switches are off unless they are given: no need to say so each time.
        let default = default_text(item).filter(|text| item.kind.shape() != Shape::Switch || text != "false");
        let default = default.map_or(String::new(), |default| format!(" [default: {default}]"));
        entry(&mut text, &left, &format!("{}{default}", item.brief));
    }
    text.push_str("\nOther options:\n");
    for plain in PLAIN {
        let value = plain.value.map_or(String::new(), |value| format!(" {value}"));
        entry(&mut text, &flag(plain.short, &format!("{}{value}", plain.long)), plain.brief);
    }
    text.push('\n');
    text.push_str(FOOT);
    text
}

/// The flags of an item: `-b, --bind ADDRESS`.
pub(crate) fn flags(item: &Item) -> String {
    let long = item.long_flag();
    match item.kind.shape() {
        Shape::Switch => flag(item.short, &format!("{long}, --no-{long}")),
        _ => flag(item.short, &format!("{long} {}", item.value)),
    }
}

fn flag(short: Option<char>, long: &str) -> String {
    match short {
        Some(short) => format!("  -{short}, --{long}"),
        None => format!("      --{long}"),
    }
}

/// One option: what to write on the left, what it does on the right.
fn entry(text: &mut String, left: &str, right: &str) {
    let mut line = if left.len() + 2 > INDENT { format!("{left}\n{:INDENT$}", "") } else { format!("{left:INDENT$}") };
    let mut column = INDENT;
    for word in right.split(' ') {
        let length = word.chars().count();
        if column > INDENT && column + 1 + length > WIDTH {
            line.push_str(&format!("\n{:INDENT$}", ""));
            column = INDENT;
        }
        if column > INDENT {
            line.push(' ');
            column += 1;
        }
        line.push_str(word);
        column += length;
    }
    text.push_str(&line);
    text.push('\n');
}

const HEAD: &str = "\
Tapster serves a Python WSGI application over HTTP.

Usage: tapster [OPTIONS] [APP]";

const FOOT: &str = "\
Every option is also a key of the settings file (keep_alive = 5) and an environment variable
(TAPSTER_KEEP_ALIVE=5). The command line is stronger than the environment, the environment than
the file. PORT and WEB_CONCURRENCY are read as hosting platforms set them, and gunicorn's
FORWARDED_ALLOW_IPS.

Durations: 30 or 30s, 500ms, 2m, 1h. Sizes: 1024, 64k, 10MiB.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_option_and_fits_the_terminal() {
        let text = text();
        for item in ITEMS.iter().filter(|item| !item.positional) {
            assert!(text.contains(&format!("--{}", item.long_flag())), "{} is missing", item.key);
        }
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "too long: {line}");
            assert_eq!(line, line.trim_end());
        }
    }
}
