//! Kinds that are a path: directories, files, the interpreter, the log's target.
//!
//! Only [`Kind::verify`] looks at the file system, and only for directories that must exist, or take a file.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, eaccess};

use super::{Complaint, Described, Kind};
use crate::bind::UNIX_PATH_MAX;
use crate::node::{Node, Raw};

/// The directory of the application. It is made absolute before all other paths, by `layers.rs`.
pub(crate) struct Chdir;

impl Described for Chdir {
    fn expected(&self) -> String {
        "the path of a directory".to_owned()
    }
}

impl Kind for Chdir {
    type Value = PathBuf;

    fn read(&self, node: &Node) -> Result<PathBuf, Vec<Complaint>> {
        path(self, node)
    }

    fn value(&self, value: &PathBuf) -> Option<toml::Value> {
        Some(written(value))
    }

    fn anchor(&self, value: &mut PathBuf, base: &Path) {
        *value = absolute(value, base);
    }

    fn verify(&self, value: &PathBuf) -> Result<(), String> {
        existing_directory(value)
    }
}

/// A path that may be left out; if a directory, it must exist.
pub(crate) struct OptionalPath {
    pub(crate) directory: bool,
}

impl Described for OptionalPath {
    fn expected(&self) -> String {
        if self.directory { "the path of a directory" } else { "the path of a file" }.to_owned()
    }
}

impl Kind for OptionalPath {
    type Value = Option<PathBuf>;

    fn read(&self, node: &Node) -> Result<Option<PathBuf>, Vec<Complaint>> {
        path(self, node).map(Some)
    }

    fn value(&self, value: &Option<PathBuf>) -> Option<toml::Value> {
        value.as_deref().map(written)
    }

    fn anchor(&self, value: &mut Option<PathBuf>, base: &Path) {
        *value = value.take().map(|path| absolute(&path, base));
    }

    fn verify(&self, value: &Option<PathBuf>) -> Result<(), String> {
        match value {
            Some(path) if self.directory => existing_directory(path),
            Some(path) if path.is_dir() => {
                Err(format!("names {}, which is a directory: name a file in it", path.display()))
            }
            Some(path) => writable_directory(path),
            None => Ok(()),
        }
    }
}

/// Where a Unix socket of the server's own is made, if anywhere.
pub(crate) struct SocketPath;

impl Described for SocketPath {
    fn expected(&self) -> String {
        "the path of a Unix socket".to_owned()
    }
}

impl Kind for SocketPath {
    type Value = Option<PathBuf>;

    fn read(&self, node: &Node) -> Result<Option<PathBuf>, Vec<Complaint>> {
        let path = path(self, node)?;
        if let Some(bare) = path.to_str().and_then(|text| text.strip_prefix("unix:")) {
            return Err(vec![Complaint::unexpected(self, node).hint(format!("write it without unix: {bare:?}"))]);
        }
        Ok(Some(path))
    }

    fn value(&self, value: &Option<PathBuf>) -> Option<toml::Value> {
        value.as_deref().map(written)
    }

    fn anchor(&self, value: &mut Option<PathBuf>, base: &Path) {
        *value = value.take().map(|path| absolute(&path, base));
    }

    fn verify(&self, value: &Option<PathBuf>) -> Result<(), String> {
        value.as_deref().map_or(Ok(()), place_for_a_socket)
    }
}

/// The Python interpreter: a path if it holds a slash, else a name to look for on PATH.
pub(crate) struct Interpreter;

impl Described for Interpreter {
    fn expected(&self) -> String {
        "the path or name of a Python interpreter".to_owned()
    }
}

impl Kind for Interpreter {
    type Value = Option<PathBuf>;

    fn read(&self, node: &Node) -> Result<Option<PathBuf>, Vec<Complaint>> {
        path(self, node).map(Some)
    }

    fn value(&self, value: &Option<PathBuf>) -> Option<toml::Value> {
        value.as_deref().map(written)
    }

    fn anchor(&self, value: &mut Option<PathBuf>, base: &Path) {
        // A link stays a link: it is how a virtual environment's interpreter is told from the one it was made with.
        *value = value
            .take()
            .map(|path| if path.as_os_str().as_encoded_bytes().contains(&b'/') { absolute(&path, base) } else { path });
    }
}

/// Where the server's reports go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogTarget {
    /// The standard error stream.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
}

/// A file to log to, or `-`.
pub(crate) struct LogTo;

impl Described for LogTo {
    fn expected(&self) -> String {
        "the path of a file, or \"-\"".to_owned()
    }
}

impl Kind for LogTo {
    type Value = LogTarget;

    fn read(&self, node: &Node) -> Result<LogTarget, Vec<Complaint>> {
        let path = path(self, node)?;
        Ok(if path == Path::new("-") { LogTarget::Stderr } else { LogTarget::File(path) })
    }

    fn value(&self, value: &LogTarget) -> Option<toml::Value> {
        match value {
            LogTarget::Stderr => Some(toml::Value::String("-".to_owned())),
            LogTarget::File(path) => Some(written(path)),
        }
    }

    fn anchor(&self, value: &mut LogTarget, base: &Path) {
        if let LogTarget::File(path) = value {
            *path = absolute(path, base);
        }
    }
}

/// A path as given.
pub(super) fn path(kind: &dyn Described, node: &Node) -> Result<PathBuf, Vec<Complaint>> {
    match &node.raw {
        Raw::Text(text) if !text.is_empty() && !text.contains('\0') => Ok(PathBuf::from(text)),
        _ => Err(vec![Complaint::unexpected(kind, node)]),
    }
}

/// A path as TOML. All paths come from UTF-8 texts; the working directory, which need not, is checked in `layers.rs`.
pub(super) fn written(path: &Path) -> toml::Value {
    toml::Value::String(path.to_string_lossy().into_owned())
}

/// The path from the root, without `.` parts. `..` stays: what it means depends on links.
pub(crate) fn absolute(path: &Path, base: &Path) -> PathBuf {
    base.join(path).components().collect()
}

/// Whether a socket can be made there, as far as that can be seen without making it.
fn place_for_a_socket(path: &Path) -> Result<(), String> {
    let length = path.as_os_str().len();
    if length > UNIX_PATH_MAX {
        let path = path.display();
        return Err(format!("names {path}, which has {length} bytes: the system allows a socket {UNIX_PATH_MAX}"));
    }
    writable_directory(path)?;
    match path.symlink_metadata() {
        Ok(found) if !found.file_type().is_socket() => {
            Err(format!("names {}, which exists and is not a socket", path.display()))
        }
        // What else may be in the way, binding finds.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether the directory of a file that is to be made exists and takes one.
fn writable_directory(file: &Path) -> Result<(), String> {
    let Some(directory) = file.parent() else { return Err(format!("names {}, which is no file", file.display())) };
    existing_directory(directory)?;
    eaccess(directory, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|errno| {
        let advice = match errno {
            Errno::EROFS => "the file system is read-only",
            _ => "the user that the server runs as may not write there",
        };
        format!("is to be made in {}, which cannot be used: {advice} ({errno})", directory.display())
    })
}

fn existing_directory(path: &Path) -> Result<(), String> {
    match path.metadata() {
        Ok(data) if data.is_dir() => Ok(()),
        Ok(_) => Err(format!("names {}, which is not a directory", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("names the directory {}, which does not exist", path.display()))
        }
        Err(error) => Err(format!("names the directory {}, which cannot be used: {error}", path.display())),
    }
}
