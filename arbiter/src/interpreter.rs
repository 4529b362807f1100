//! Which Python interpreter runs the application.
//!
//! Looks for it where a user would expect it to be taken from, and asks it what it is (`probe`). Runs in the template's
//! process, before Python does.

mod probe;

use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, eaccess, geteuid};

use crate::door::executable;

/// The oldest CPython whose stable ABI the worker library is built for.
const OLDEST: (u32, u32) = (3, 10);

/// An interpreter that can run the application.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// The interpreter's own idea of where it is: in a virtual environment, not what that was made with.
    pub executable: PathBuf,
    /// Its shared library; `None` where it has none, being linked statically.
    pub libpython: Option<PathBuf>,
}

/// Finds the interpreter: `setting` where there is one; else of the virtual environment that tapster is installed in, of the
/// one that is active, or on the path.
///
/// # Errors
/// A message that says where was looked, or what is wrong with the one found.
pub(crate) fn find(setting: Option<&Path>) -> Result<Interpreter, String> {
    let (path, origin) = match setting {
        Some(setting) => (named(setting)?, format!("the setting python = {:?}", setting.display().to_string())),
        None => unnamed()?,
    };
    let answer = probe::ask(&path).map_err(|reason| format!("{} (from {origin}) {reason}", path.display()))?;
    judge(answer).map_err(|reason| format!("{} (from {origin}) {reason}", path.display()))
}

/// The interpreter that the setting names: a path, the folder of a virtual environment, or a name to look for on the path.
fn named(setting: &Path) -> Result<PathBuf, String> {
    let shown = setting.display();
    if !setting.as_os_str().as_encoded_bytes().contains(&b'/') {
        return on_path(setting).ok_or_else(|| format!("there is no {shown} on PATH (setting python)"));
    }
    let path = if setting.is_dir() { setting.join("bin/python") } else { setting.to_path_buf() };
    if is_executable(&path) {
        return Ok(path);
    }
    let reason = match path.try_exists() {
        Ok(true) => "is not a program that may be run",
        Ok(false) => "does not exist",
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            &format!("is out of reach for uid {}, which may not enter one of the folders on the way", geteuid())
        }
        Err(error) => &format!("can't be looked at ({error})"),
    };
    Err(format!("{} {reason} (setting python = {:?})", path.display(), shown.to_string()))
}

fn unnamed() -> Result<(PathBuf, String), String> {
    let mut tried = Vec::new();
    let mut folders: Vec<(PathBuf, String)> = Vec::new();
    if let Some(folder) = executable().ok().as_deref().and_then(own_environment) {
        folders.push((folder, "the virtual environment that tapster is installed in".into()));
    }
    if let Some(environment) = std::env::var_os("VIRTUAL_ENV").filter(|value| !value.is_empty()) {
        folders.push((Path::new(&environment).join("bin"), "$VIRTUAL_ENV".into()));
    }
    for (folder, origin) in folders {
        for name in ["python3", "python"] {
            let path = folder.join(name);
            if is_executable(&path) {
                return Ok((path, origin));
            }
            tried.push(path.display().to_string());
        }
    }
    match on_path(Path::new("python3")) {
        Some(path) => Ok((path, "PATH".into())),
        None => Err(format!(
            "no Python interpreter was found: tried {} and python3 on PATH. Name one by --python, which may be a \
             virtual environment's folder",
            tried.join(", ")
        )),
    }
}

/// The folder of the interpreter beside the tapster executable, where both are a virtual environment's. Elsewhere, as in
/// `/usr/local/bin`, what stands beside it is the system's, and no better than any other.
fn own_environment(executable: &Path) -> Option<PathBuf> {
    let folder = executable.parent()?;
    folder.parent()?.join("pyvenv.cfg").is_file().then(|| folder.to_path_buf())
}

fn on_path(name: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && eaccess(path, AccessFlags::X_OK).is_ok()
}

/// Whether the worker library can run in this interpreter; if not, why, as the rest of a sentence.
fn judge(answer: probe::Answer) -> Result<Interpreter, String> {
    let probe::Answer { implementation, version, abi_flags, executable, libpython } = answer;
    let (major, minor) = OLDEST;
    let shown = version.map(|number| number.to_string()).join(".");
    if implementation != "cpython" {
        return Err(format!("is {implementation} {shown}; tapster runs CPython {major}.{minor} or newer"));
    }
    if (version[0], version[1]) < OLDEST {
        return Err(format!(
            "is CPython {shown}; tapster needs {major}.{minor} or newer: name another interpreter by --python"
        ));
    }
    if abi_flags.contains('t') {
        return Err(format!(
            "is a free-threaded build of CPython {shown}, which tapster does not support: name a build with the \
             global interpreter lock by --python"
        ));
    }
    Ok(Interpreter { executable, libpython })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(implementation: &str, version: [u32; 3], abi_flags: &str) -> probe::Answer {
        probe::Answer {
            implementation: implementation.into(),
            version,
            abi_flags: abi_flags.into(),
            executable: "/venv/bin/python".into(),
            libpython: Some("/usr/lib/libpython3.12.so.1.0".into()),
        }
    }

    #[test]
    fn only_cpythons_that_can_load_the_worker_are_taken() {
        let table = [
            (answer("cpython", [3, 10, 0], ""), None),
            (answer("cpython", [3, 15, 2], "d"), None),
            (answer("cpython", [3, 9, 18], ""), Some("3.10 or newer")),
            (answer("pypy", [3, 11, 1], ""), Some("is pypy 3.11.1")),
            (answer("cpython", [3, 13, 0], "t"), Some("free-threaded")),
        ];
        for (answer, refusal) in table {
            let described = format!("{answer:?}");
            match (judge(answer), refusal) {
                (Ok(_), None) => {}
                (Err(reason), Some(part)) => assert!(reason.contains(part), "{reason}"),
                (result, _) => panic!("{described}: {result:?}"),
            }
        }
    }

    #[test]
    fn only_in_a_virtual_environment_does_the_interpreter_beside_the_executable_come_first() {
        let folder = std::env::temp_dir().join(format!("tapster-beside-{}", std::process::id()));
        let executable = folder.join("bin/tapster");
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        assert_eq!(own_environment(&executable), None);
        std::fs::write(folder.join("pyvenv.cfg"), "home = /usr/bin\n").unwrap();
        assert_eq!(own_environment(&executable), Some(folder.join("bin")));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_setting_that_names_nothing_says_where_was_looked() {
        assert!(named(Path::new("no-such-python")).unwrap_err().contains("on PATH"));
        assert!(named(Path::new("/no/such/python")).unwrap_err().contains("does not exist"));
        assert!(named(Path::new("/etc/passwd")).unwrap_err().contains("may be run"));
        assert!(named(Path::new("/etc")).unwrap_err().contains("/etc/bin/python"));
    }
}
