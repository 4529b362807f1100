//! Kinds that hold several values: addresses, directories, environment variables.

use std::path::{Path, PathBuf};

use super::paths::{absolute, written};
use super::{Complaint, Described, Kind, Shape};
use crate::bind::{Bind, UNIX_PATH_MAX};
use crate::node::{Node, Raw};
use crate::warmup::Warmup;

/// Addresses to listen at: at least one, none twice.
pub(crate) struct BindList;

/// The most addresses: their sockets go to a template all in one message.
const MOST_BINDS: usize = 60;

impl Described for BindList {
    fn expected(&self) -> String {
        "an address (HOST:PORT, :PORT, [IPV6]:PORT, unix:PATH, fd://N or fd://NAME) or a list of them".to_owned()
    }

    fn shape(&self) -> Shape {
        Shape::List
    }
}

impl Kind for BindList {
    type Value = Vec<Bind>;

    fn read(&self, node: &Node) -> Result<Vec<Bind>, Vec<Complaint>> {
        let mut binds = Vec::new();
        let mut complaints = Vec::new();
        for (part, text) in parts(self, node)? {
            match text.trim().parse::<Bind>() {
                Err(reason) => {
                    let expected = "must be an address (HOST:PORT, :PORT, [IPV6]:PORT, unix:PATH, fd://N or fd://NAME)";
                    complaints.push(Complaint::of(&part, format!("{expected}, not {text:?}: {reason}")));
                }
                Ok(bind) if binds.contains(&bind) && !matches!(bind, Bind::Tcp { port: 0, .. }) => {
                    complaints.push(Complaint::of(&part, format!("names {bind} twice")));
                }
                Ok(bind) => binds.push(bind),
            }
        }
        if binds.is_empty() && complaints.is_empty() {
            complaints.push(Complaint::of(node, "must name at least one address"));
        }
        if binds.len() > MOST_BINDS {
            let says = format!("names {} addresses, and {MOST_BINDS} is the most", binds.len());
            complaints.push(Complaint::of(node, says));
        }
        if complaints.is_empty() { Ok(binds) } else { Err(complaints) }
    }

    fn value(&self, value: &Vec<Bind>) -> Option<toml::Value> {
        Some(toml::Value::Array(value.iter().map(|bind| toml::Value::String(bind.to_string())).collect()))
    }

    fn anchor(&self, value: &mut Vec<Bind>, base: &Path) {
        for bind in value {
            if let Bind::Unix { path } = bind {
                *path = absolute(path, base);
            }
        }
    }

    fn verify(&self, value: &Vec<Bind>) -> Result<(), String> {
        let long = value.iter().find(
            |bind| matches!(bind, Bind::Unix { path } if path.as_os_str().as_encoded_bytes().len() > UNIX_PATH_MAX),
        );
        match long {
            None => Ok(()),
            Some(bind) => Err(format!("names {bind}: the system allows a socket's path {UNIX_PATH_MAX} bytes")),
        }
    }
}

/// Directories, in order; possibly none.
pub(crate) struct PathList;

impl Described for PathList {
    fn expected(&self) -> String {
        "a path or a list of paths".to_owned()
    }

    fn shape(&self) -> Shape {
        Shape::List
    }
}

impl Kind for PathList {
    type Value = Vec<PathBuf>;

    fn read(&self, node: &Node) -> Result<Vec<PathBuf>, Vec<Complaint>> {
        let (mut paths, mut complaints) = (Vec::new(), Vec::new());
        for (part, text) in parts(self, node)? {
            if text.is_empty() || text.contains('\0') {
                complaints.push(Complaint::of(&part, format!("must hold paths, not {text:?}")));
            } else {
                paths.push(PathBuf::from(text));
            }
        }
        if complaints.is_empty() { Ok(paths) } else { Err(complaints) }
    }

    fn value(&self, value: &Vec<PathBuf>) -> Option<toml::Value> {
        Some(toml::Value::Array(value.iter().map(|path| written(path)).collect()))
    }

    fn anchor(&self, value: &mut Vec<PathBuf>, base: &Path) {
        for path in value {
            *path = absolute(path, base);
        }
    }
}

/// Requests to run before there is traffic, in order; possibly none.
pub(crate) struct WarmupList;

impl Described for WarmupList {
    fn expected(&self) -> String {
        "a path that begins with a slash, a URL, or a list of them".to_owned()
    }

    fn shape(&self) -> Shape {
        Shape::List
    }
}

impl Kind for WarmupList {
    type Value = Vec<Warmup>;

    fn read(&self, node: &Node) -> Result<Vec<Warmup>, Vec<Complaint>> {
        let read = |(part, text): (Node, &str)| match text.parse::<Warmup>() {
            Ok(warmup) => Ok((part, warmup)),
            Err(reason) => {
                let expected = "must hold paths (/health) or URLs (http://www.example.com/health)";
                Err(Complaint::of(&part, format!("{expected}, not {text:?}: {reason}")))
            }
        };
        listed(parts(self, node)?.into_iter().map(read), ToString::to_string)
    }

    fn value(&self, value: &Vec<Warmup>) -> Option<toml::Value> {
        Some(toml::Value::Array(value.iter().map(|warmup| toml::Value::String(warmup.to_string())).collect()))
    }
}

/// Environment variables, by name; those of several sources are put together.
pub(crate) struct Variables;

impl Described for Variables {
    fn expected(&self) -> String {
        "a table of names and texts, or NAME=VALUE".to_owned()
    }

    fn shape(&self) -> Shape {
        Shape::Pairs
    }
}

impl Kind for Variables {
    type Value = Vec<(String, String)>;

    fn read(&self, node: &Node) -> Result<Self::Value, Vec<Complaint>> {
        let (mut pairs, mut complaints) = (Vec::new(), Vec::new());
        let mut take = |name: &str, value: &str, node: &Node| {
            if name.is_empty() || name.contains(['=', '\0']) || name.chars().any(char::is_whitespace) {
                complaints.push(Complaint::of(node, format!("holds {name:?}, which cannot be a variable's name")));
            } else if value.contains('\0') {
                complaints.push(Complaint::of(node, format!("holds {name} with a NUL in its value")));
            } else {
                self.merge(&mut pairs, vec![(name.to_owned(), value.to_owned())]);
            }
        };
        let mut unreadable = Vec::new();
        if let Raw::Table(entries) = &node.raw {
            for (key, value) in entries {
                match (&key.raw, &value.raw) {
                    (Raw::Text(name), Raw::Text(text)) => take(name, text, key),
                    _ => unreadable.push(not_a_text(key, value)),
                }
            }
        } else {
            for (part, text) in parts(self, node)? {
                match text.split_once('=') {
                    Some((name, value)) => take(name, value, &part),
                    None => unreadable.push(not_a_pair(node, &part, text)),
                }
            }
        }
        complaints.extend(unreadable);
        if complaints.is_empty() { Ok(pairs) } else { Err(complaints) }
    }

    fn value(&self, value: &Self::Value) -> Option<toml::Value> {
        let text = |(name, value): &(String, String)| (name.clone(), toml::Value::String(value.clone()));
        (!value.is_empty()).then(|| toml::Value::Table(value.iter().map(text).collect()))
    }

    fn merge(&self, old: &mut Self::Value, new: Self::Value) {
        for (name, value) in new {
            // Kept sorted, so that equal sets of variables are equal values.
            match old.binary_search_by(|(known, _)| known.as_str().cmp(&name)) {
                Ok(at) => old[at].1 = value,
                Err(at) => old.insert(at, (name, value)),
            }
        }
    }
}

/// A variable of the table whose value is a number, say: environments hold texts.
pub(super) fn not_a_text(key: &Node, value: &Node) -> Complaint {
    let Raw::Text(name) = &key.raw else { return Complaint::of(key, "holds a strange name") };
    let complaint = Complaint::of(value, format!("must hold texts, but {name} is {}", value.seen()));
    match &value.raw {
        Raw::List(_) | Raw::Table(_) => complaint,
        _ => complaint.hint(format!("write {name} = \"{}\"", value.seen())),
    }
}

/// A part without `=`.
pub(super) fn not_a_pair(whole: &Node, part: &Node, text: &str) -> Complaint {
    let complaint = Complaint::of(part, format!("must be NAME=VALUE, not {text:?}"));
    match &whole.raw {
        Raw::Text(all) if all.contains(',') => {
            complaint.hint("commas separate here; a value that holds one goes into the file, or into a flag of its own")
        }
        _ => complaint,
    }
}

/// The texts of a list, or of one text separated by commas, each with the node it came from.
pub(super) fn parts<'a>(kind: &dyn Described, node: &'a Node) -> Result<Vec<(Node, &'a str)>, Vec<Complaint>> {
    match &node.raw {
        Raw::Text(text) if text.trim().is_empty() => Ok(Vec::new()),
        Raw::Text(text) => Ok(text.split(',').map(|part| (node.clone(), part.trim())).collect()),
        Raw::List(nodes) => {
            let (mut parts, mut complaints) = (Vec::new(), Vec::new());
            for node in nodes {
                match &node.raw {
                    // Not trimmed: an environment variable may well end in a space.
                    Raw::Text(text) => parts.push((node.clone(), text.as_str())),
                    _ => {
                        complaints
                            .push(Complaint::of(node, format!("must be a list of texts, not of {}", node.seen())));
                    }
                }
            }
            if complaints.is_empty() { Ok(parts) } else { Err(complaints) }
        }
        _ => Err(vec![Complaint::unexpected(kind, node)]),
    }
}

/// All that is listed, or all complaints: those of the parts, and one for each value that stands there already.
/// `text` writes a value.
pub(super) fn listed<T: PartialEq>(
    parts: impl Iterator<Item = Result<(Node, T), Complaint>>,
    text: impl Fn(&T) -> String,
) -> Result<Vec<T>, Vec<Complaint>> {
    let (mut values, mut complaints) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Ok((node, value)) if values.contains(&value) => {
                complaints.push(Complaint::of(&node, format!("names {} twice", text(&value))));
            }
            Ok((_, value)) => values.push(value),
            Err(complaint) => complaints.push(complaint),
        }
    }
    if complaints.is_empty() { Ok(values) } else { Err(complaints) }
}
