//! The generated documents: `docs/configuration.md` and `deploy/tapster.example.toml`, made from the items.
//!
//! Gives texts and writes no file; the test `generated_documents_are_current` compares them with the files, and writes
//! them when `TAPSTER_UPDATE_DOCS=1` is set.

use crate::Settings;
use crate::help::flags;
use crate::items::{Item, Reload};
use crate::settings::ITEMS;

/// The reference of all settings, `docs/configuration.md`.
pub fn configuration_page() -> String {
    let mut page = HEAD.to_owned();
    for section in sections() {
        page.push_str(&format!("\n## {section}\n"));
        for item in ITEMS.iter().filter(|item| item.section == section) {
            page.push_str(&entry(item));
        }
    }
    page
}

/// A settings file with every setting at its default, commented out: `deploy/tapster.example.toml`.
pub fn example_file() -> String {
    let mut file = EXAMPLE_HEAD.to_owned();
    for section in sections() {
        file.push_str(&format!("\n\n# {section}\n"));
        for item in ITEMS.iter().filter(|item| item.section == section) {
            let value = item.example.map(str::to_owned).or_else(|| default_value(item)).unwrap_or_default();
            let default = match (item.example, default_text(item)) {
                (Some(_), Some(note)) => format!(" Default: {note}."),
                (Some(_), None) => " Default: none.".to_owned(),
                (None, _) => String::new(),
            };
            file.push_str(&format!("\n{}", wrapped(&format!("{}{default}", item.brief), "# ")));
            file.push_str(&format!("#{} = {value}\n", item.key));
        }
    }
    file
}

/// The default as people say it; nothing where there is none.
pub(crate) fn default_text(item: &Item) -> Option<String> {
    let value = item.default_note.map(str::to_owned).or_else(|| default_value(item))?;
    let bare = value.trim_start_matches(['[', '{']).trim_end_matches([']', '}']).replace('"', "").trim().to_owned();
    (!bare.is_empty()).then_some(bare)
}

/// The default as TOML; nothing where there is none.
fn default_value(item: &Item) -> Option<String> {
    let values = Settings::default().values();
    values.into_iter().find(|(key, _)| *key == item.key).map(|(_, value)| value.to_string())
}

fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> = ITEMS.iter().map(|item| item.section).collect();
    sections.dedup();
    sections
}

/// One setting's part of the page.
fn entry(item: &Item) -> String {
    let option = if item.positional { item.value.to_owned() } else { flags(item).trim().to_owned() };
    let alias = item.alias.map_or(String::new(), |alias| format!(" (also `--{alias}`)"));
    let platform = item
        .platform
        .as_ref()
        .map_or(String::new(), |platform| format!("; also `{}`: {} (weaker)", platform.variable, platform.means));
    let default = match (item.default_note, default_value(item)) {
        (Some(note), _) => note.to_owned(),
        (None, Some(value)) if value != "[]" => format!("`{value}`"),
        (None, _) => "none".to_owned(),
    };
    let reload = match item.reload {
        Reload::Applied => "applied: the next generation of workers gets it".to_owned(),
        Reload::AppliedAs(text) => format!("applied: {text}"),
        Reload::NeedsRestart(reason) => format!("needs a restart: {reason}"),
    };
    let long = if item.long.is_empty() { String::new() } else { format!(" {}", item.long) };
    let example = item.example.map_or(String::new(), |example| format!("- Example: `{} = {example}`\n", item.key));
    format!(
        "\n### `{}`\n\n{}\n- Option: `{option}`{alias}\n- Environment: `{}`{platform}\n- Type: {}\n- Default: {default}\n\
         {example}- Reload: {reload}\n",
        item.key,
        wrapped(&format!("{}{long}", item.brief), ""),
        item.variable(),
        item.kind.expected(),
    )
}

/// The text in lines of at most 110 columns, each with the prefix, and a newline at the end.
fn wrapped(text: &str, prefix: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() + prefix.len() > 110 {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.iter().map(|line| format!("{prefix}{line}\n")).collect()
}

const HEAD: &str = include_str!("configuration_head.md");

const EXAMPLE_HEAD: &str = "\
# Settings of Tapster. Copy this file as tapster.toml into the directory that tapster is started in, or name it with
# `tapster -c PATH`, and uncomment what shall differ from the defaults. docs/configuration.md says more of each setting.
#
# This file is generated from the settings' definitions in config/src/items/: change it there.";
