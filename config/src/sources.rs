//! Where settings come from, as one value: so that a reload reads the same command line again, and tests need no process.
//!
//! Never reads a file's content. The arbiter makes one at its start and keeps it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Bind;

/// The outside world as far as settings are concerned; files apart, [`crate::load`] looks at nothing else.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The command line without the program's name.
    pub args: Vec<OsString>,
    /// The environment. Bytes that are not UTF-8 stand as U+FFFD, which is refused where a setting would use them.
    pub env: BTreeMap<String, String>,
    /// The working directory: `tapster.toml` is looked for in it, and `chdir` starts from it.
    pub cwd: PathBuf,
    /// The sockets that a service manager has passed to this process: what is listened at where no source sets `bind`.
    pub passed: Vec<Bind>,
}

impl Sources {
    /// Collects them from the running process, but for what was passed to it.
    ///
    /// # Errors
    ///
    /// When the working directory was removed or may not be read.
    pub fn of_process() -> std::io::Result<Self> {
        let lossy = |text: OsString| text.to_string_lossy().into_owned();
        Ok(Self {
            args: std::env::args_os().skip(1).collect(),
            env: std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect(),
            cwd: named(std::env::current_dir()?, std::env::var_os("PWD").map(PathBuf::from)),
            passed: Vec::new(),
        })
    }
}

/// The working directory by the name that it was entered by, `$PWD`, where that still is the same directory: in a name
/// with a symbolic link that each deploy sets anew (`current`), a reload then finds the new one.
fn named(cwd: PathBuf, pwd: Option<PathBuf>) -> PathBuf {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let is_same = |pwd: &PathBuf| pwd.is_absolute() && identity(pwd).is_some_and(|pwd| Some(pwd) == identity(&cwd));
    pwd.filter(is_same).unwrap_or(cwd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_the_name_of_the_link_by_which_it_was_entered() {
        let folder = std::env::temp_dir().join(format!("tapster-pwd-{}", std::process::id()));
        let (release, link) = (folder.join("release"), folder.join("current"));
        std::fs::create_dir_all(&release).unwrap();
        std::os::unix::fs::symlink(&release, &link).unwrap();
        let wrong = [Some(folder.clone()), Some("release".into()), Some(folder.join("gone")), None];
        assert_eq!(named(release.clone(), Some(link.clone())), link);
        for pwd in wrong {
            assert_eq!(named(release.clone(), pwd), release);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
