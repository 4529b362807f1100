//! The settings file: found, read, its TOML taken apart into values with their places.
//!
//! Knows which keys there are, but leaves values to `kinds/`. Called by `layers.rs`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::rc::Rc;

use nix::fcntl::OFlag;
use toml::de::DeTable;

use crate::errors::{Fault, Position};
use crate::expand;
use crate::foreign;
use crate::items::Item;
use crate::layers::{Given, Origin};
use crate::node::{Node, Raw, entries};
use crate::settings::ITEMS;

/// The file looked for where none is named.
pub(crate) const DEFAULT_NAME: &str = "tapster.toml";
/// The largest file that is read, in bytes: settings are some kilobytes, and what is larger is some other file.
const FILE_MAX: u64 = 1 << 20;

/// A file's text, kept to show the lines that are wrong.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file, as it was named.
    pub(crate) name: String,
    /// All of it.
    pub(crate) text: String,
}

/// Opens the file, without ever waiting: whoever reloads is waited for.
fn open(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_char_device() || kind.is_dir() {
        return Ok(file);
    }
    Err(std::io::Error::other("it is not a plain file"))
}

impl Source {
    /// Reads the file. Nothing where it does not exist and need not.
    pub(crate) fn read(path: &Path, name: &str, must_exist: bool) -> Result<Option<Self>, Fault> {
        let unreadable = |why: String| Fault::new(format!("the settings file {name} cannot be read: {why}"));
        let mut bytes = Vec::new();
        match open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes)) {
            Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(unreadable("it does not exist".to_owned()));
            }
            Err(error) => return Err(unreadable(error.to_string())),
            Ok(_) if bytes.len() as u64 > FILE_MAX => {
                return Err(unreadable(format!("it is larger than {FILE_MAX} bytes, which settings never are")));
            }
            Ok(_) => {}
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(Self { name: name.to_owned(), text })),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let source = Self { name: name.to_owned(), text: String::from_utf8_lossy(error.as_bytes()).into() };
                Err(Fault::new("the file is not UTF-8, as TOML has to be")
                    .at(source.position(&(valid..valid + '\u{fffd}'.len_utf8()))))
            }
        }
    }

    /// Line and column of a range of bytes.
    pub(crate) fn position(&self, span: &Range<usize>) -> Position {
        let (before, after) = self.text.split_at_checked(span.start).unwrap_or((&self.text, ""));
        let line_before = before.rsplit('\n').next().unwrap_or_default();
        let line_after = after.split('\n').next().unwrap_or_default();
        let meant = line_after.get(..span.len()).unwrap_or(line_after);
        Position {
            file: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: line_before.chars().count() + 1,
            source: format!("{line_before}{line_after}").trim_end().to_owned(),
            length: meant.trim_end().chars().count().max(1),
        }
    }
}

/// What a settings file comes to.
pub(crate) struct Contents {
    /// The settings it gives.
    pub(crate) given: Vec<Given>,
    /// What is wrong with it as TOML, with its keys, and with its variables.
    pub(crate) faults: Vec<Fault>,
    /// The settings that it may have meant to give, and that cannot be told for those faults.
    pub(crate) uncertain: Vec<&'static str>,
}

/// Takes the file apart. `${NAME}` in texts is replaced from `env`, if there is one.
pub(crate) fn contents(source: &Rc<Source>, env: Option<&BTreeMap<String, String>>) -> Contents {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let mut contents = Contents { given: Vec::new(), faults: Vec::new(), uncertain: Vec::new() };
    if !errors.is_empty() {
        // What the parser then takes for keys and values is a guess, and would bring up more errors of its own making.
        contents.faults = errors.iter().map(|error| misread(source, error)).collect();
        // One slip often causes several complaints, of which the first tells.
        contents.faults.dedup_by_key(|fault| fault.position.as_ref().map(|position| position.line));
        contents.uncertain = ITEMS.iter().map(|item| item.key).collect();
        return contents;
    }
    for (name, mut node) in entries(table.get_ref()) {
        let Raw::Text(key) = &name.raw else { continue };
        let Some(item) = ITEMS.iter().find(|item| item.key == key) else {
            contents.faults.push(unknown(source, key, &name, &node));
            continue;
        };
        let faults = env.map_or_else(Vec::new, |env| expand::node(&mut node, source, item.key, env));
        if faults.is_empty() {
            contents.given.push(Given { item, node, origin: Origin::File(Rc::clone(source)) });
        } else {
            contents.uncertain.push(item.key);
            contents.faults.extend(faults);
        }
    }
    contents
}

/// What the TOML parser complains about.
fn misread(source: &Source, error: &toml::de::Error) -> Fault {
    let says = format!("not TOML: {}", error.message().replace('\n', ", "));
    Fault::new(says).at(source.position(&error.span().unwrap_or(0..0)))
}

/// A key that is none of ours.
fn unknown(source: &Source, key: &str, name: &Node, value: &Node) -> Fault {
    let spelled = |item: &Item| format!("`{}`", item.key);
    let hint = match foreign::hint(key, &spelled, &[]) {
        None if matches!(value.raw, Raw::Table(_)) => {
            let says = "settings stand at the top of the file, under no heading; the only tables are [env] and \
                        [secure_scheme_headers]";
            Some(says.to_owned())
        }
        hint => hint,
    };
    Fault::new(format!("`{key}` is not a setting")).at(source.position(&name.span)).hint(hint)
}
