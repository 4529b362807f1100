//! The files that are watched: what they were at the last look, and what of the file system's events is about them.
//!
//! It asks the file system when it is told to, and waits for nothing. Used by `watch`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a file was: two that are equal are taken for the same content. `None` is a file that is not there.
type Stamp = Option<Content>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    size: u64,
    /// A file that has been put in another's place may be as old and as long.
    inode: u64,
}

/// More files than this in one of the extra folders are not looked at.
const MOST_EXTRA: usize = 10_000;

/// All files that are watched.
#[derive(Debug, Default)]
pub(super) struct Files {
    stamps: BTreeMap<PathBuf, Stamp>,
    /// Paths that were named besides: files, or folders with all that is in them.
    extra: Vec<PathBuf>,
    /// Those of the files that this has brought.
    found: BTreeSet<PathBuf>,
    /// Whether files have been added.
    has_begun: bool,
    /// As events call them: without links among the folders.
    names: BTreeSet<PathBuf>,
    /// The extra folders, by the same kind of name.
    trees: Vec<PathBuf>,
}

impl Files {
    /// Those that `extra` names, as they are now.
    pub(super) fn new(extra: Vec<PathBuf>) -> Self {
        let mut files = Self { extra, ..Self::default() };
        files.look();
        files
    }

    /// Adds files. All that are new, and the extra ones at the first time, were read at some time after `since`: answers one that
    /// may have changed after that, and how long ago.
    pub(super) fn add(&mut self, paths: Vec<PathBuf>, since: SystemTime) -> Option<(PathBuf, Duration)> {
        let now = SystemTime::now();
        let fresh: BTreeSet<_> = paths.into_iter().filter(|path| !self.stamps.contains_key(path)).collect();
        let firsts = if self.has_begun { BTreeSet::new() } else { self.found.clone() };
        self.has_begun = true;
        for path in &fresh {
            self.stamps.insert(path.clone(), stamp(path));
        }
        // Not when it was written, but when it got its place: what is moved there may have been written long before.
        let recent = |path: &PathBuf| {
            let data = std::fs::metadata(path).ok()?;
            let placed = if data.is_dir() { data.created().ok()? } else { placed(&data)? };
            // What is dated in the future tells nothing, and would be new at every start.
            let age = now.duration_since(placed).ok()?;
            (placed > since).then(|| (path.clone(), age))
        };
        fresh.union(&firsts).find_map(recent)
    }

    /// Looks at all of them. Answers the first that is not what it was, if any.
    pub(super) fn look(&mut self) -> Option<PathBuf> {
        let mut changed = None;
        let mut note = |path: &Path| {
            changed.get_or_insert_with(|| path.to_owned());
        };
        for (path, before) in &mut self.stamps {
            let now = stamp(path);
            if *before != now {
                *before = now;
                note(path);
            }
        }
        let found = files_below(&self.extra);
        for path in &found {
            if !self.stamps.contains_key(path) {
                self.stamps.insert(path.clone(), stamp(path));
                note(path);
            }
        }
        // What is gone has been noted above.
        for gone in self.found.difference(&found) {
            self.stamps.remove(gone);
        }
        self.found = found;
        changed
    }

    /// The folders whose events tell of changes, without links. A folder that is not there is waited for in the one above it.
    pub(super) fn folders(&mut self) -> BTreeSet<PathBuf> {
        self.names.clear();
        self.trees.clear();
        let mut folders = BTreeSet::new();
        let mut known = BTreeMap::new();
        for path in self.stamps.keys().chain(&self.extra) {
            let Some((parent, name)) = path.parent().zip(path.file_name()) else { continue };
            let (folder, real) = known.entry(parent.to_owned()).or_insert_with(|| nearest(parent));
            folders.insert(folder.clone());
            self.names.insert(real.join(name));
            // A link's own folder does not tell of what it leads to.
            if path.is_symlink()
                && let Ok(target) = path.canonicalize()
                && let Some(folder) = target.parent()
            {
                folders.insert(folder.to_owned());
                self.names.insert(target.clone());
            }
        }
        for tree in &self.extra {
            if let Ok(tree) = tree.canonicalize()
                && tree.is_dir()
            {
                walk(&tree, &mut |folder, _| {
                    folders.insert(folder.to_owned());
                });
                self.trees.push(tree);
            }
        }
        folders
    }

    /// Whether an event about this path may be about one of the files. `moved` is whether it has come, gone or been renamed,
    /// so that it may be a folder on the way to one.
    pub(super) fn concerns(&self, path: &Path, moved: bool) -> bool {
        let is_above = || self.names.range(path.to_owned()..).next().is_some_and(|name| name.starts_with(path));
        let is_in_tree = |tree: &PathBuf| {
            path.strip_prefix(tree).is_ok_and(|rest| !rest.iter().any(|part| is_passed_over(&part.to_string_lossy())))
        };
        self.names.contains(path) || self.trees.iter().any(is_in_tree) || moved && is_above()
    }
}

fn stamp(path: &Path) -> Stamp {
    let content =
        |data: &Metadata| Content { modified: (data.mtime(), data.mtime_nsec()), size: data.size(), inode: data.ino() };
    // A folder changes with whatever is put into it, which is not what it is watched for: it is there, or it is not.
    let folder = Content { modified: (0, 0), size: 0, inode: 0 };
    std::fs::metadata(path).ok().map(|data| if data.is_dir() { folder } else { content(&data) })
}

/// When a file got its place, or its mode. Before the epoch it is nothing that could be compared.
fn placed(data: &Metadata) -> Option<SystemTime> {
    let seconds = Duration::from_secs(u64::try_from(data.ctime()).ok()?);
    Some(UNIX_EPOCH + seconds + Duration::from_nanos(u64::try_from(data.ctime_nsec()).ok()?))
}

/// The nearest folder that is there, and what the path is called from there, both without links.
fn nearest(folder: &Path) -> (PathBuf, PathBuf) {
    for above in folder.ancestors() {
        if let Ok(real) = above.canonicalize()
            && real.is_dir()
        {
            let rest = folder.strip_prefix(above).unwrap_or(Path::new(""));
            let name = if rest.as_os_str().is_empty() { real.clone() } else { real.join(rest) };
            return (real, name);
        }
    }
    (PathBuf::from("/"), folder.to_owned())
}

/// What of the extra paths are files: the named ones, and those in the named folders.
fn files_below(extra: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for path in extra {
        if path.is_dir() {
            walk(path, &mut |_, files| found.extend(files));
        } else {
            found.insert(path.clone());
        }
    }
    found
}

/// Tells of a folder and of those in it, each with its files. Links to folders are not followed.
fn walk(top: &Path, tell: &mut dyn FnMut(&Path, Vec<PathBuf>)) {
    let (mut waiting, mut count) = (vec![top.to_owned()], 0);
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let mut files = Vec::new();
        for entry in entries.flatten() {
            if is_passed_over(&entry.file_name().to_string_lossy()) {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                _ => files.push(entry.path()),
            }
        }
        count += files.len();
        tell(&folder, files);
        if count > MOST_EXTRA {
            return;
        }
    }
}

/// What editors, version control and Python keep beside the files that somebody writes.
fn is_passed_over(name: &str) -> bool {
    name.starts_with('.') || name == "__pycache__"
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn later() -> SystemTime {
        SystemTime::now() + Duration::from_secs(3600)
    }

    fn watching(path: &Path) -> Files {
        let mut files = Files::new(Vec::new());
        assert_eq!(files.add(vec![path.to_owned()], later()), None);
        files.folders();
        files
    }

    #[test]
    fn a_file_has_changed_when_it_is_another_or_gone_or_back() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.py");
        fs::write(&path, "1").unwrap();
        let mut files = watching(&path);
        assert_eq!(files.look(), None);
        fs::write(&path, "12").unwrap();
        assert_eq!(files.look(), Some(path.clone()));
        assert_eq!(files.look(), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(files.look(), Some(path.clone()));
        fs::write(&path, "12").unwrap();
        assert_eq!(files.look(), Some(path.clone()));
        let other = folder.path().join("b");
        fs::rename(&path, &other).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(files.look(), None, "the same file");
    }

    #[test]
    fn a_file_that_was_written_after_it_may_have_been_read_has_changed() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.py");
        fs::write(&path, "1").unwrap();
        let mut files = Files::new(Vec::new());
        let mut add = |paths: Vec<PathBuf>| files.add(paths, UNIX_EPOCH).map(|(path, _)| path);
        assert_eq!(add(vec![path.clone()]), Some(path.clone()));
        assert_eq!(add(vec![path.clone()]), None, "it is known");
        let mut extra = Files::new(vec![path.clone()]);
        let mut add = || extra.add(Vec::new(), UNIX_EPOCH).map(|(path, _)| path);
        assert_eq!(add(), Some(path));
        assert_eq!(add(), None, "they are new once");
    }

    #[test]
    fn only_events_about_the_files_and_the_folders_above_concern() {
        let folder = TempDir::new().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let path = real.join("pkg/a.py");
        fs::create_dir(real.join("pkg")).unwrap();
        fs::write(&path, "1").unwrap();
        let files = watching(&path);
        assert!(files.concerns(&path, false));
        assert!(files.concerns(&real.join("pkg"), true));
        assert!(!files.concerns(&real.join("pkg"), false));
        for other in ["pkg/b.py", "pkg/__pycache__", "pkg/a.pyc", "pk", "log"] {
            assert!(!files.concerns(&real.join(other), true), "{other}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_waited_for_above() {
        let folder = TempDir::new().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let path = folder.path().join("new/pkg/__init__.py");
        let mut files = watching(&path);
        assert_eq!(files.folders(), BTreeSet::from([real.clone()]));
        assert!(files.concerns(&real.join("new"), true));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert_eq!(files.folders(), BTreeSet::from([real.join("new/pkg")]));
    }

    #[test]
    fn a_folder_that_was_named_changes_when_it_comes_and_goes_and_not_with_what_is_in_it() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("pkg");
        let mut files = watching(&path);
        fs::create_dir(&path).unwrap();
        assert_eq!(files.look(), Some(path.clone()));
        fs::write(path.join("a.py"), "1").unwrap();
        assert_eq!(files.look(), None);
        fs::remove_dir_all(&path).unwrap();
        assert_eq!(files.look(), Some(path));
    }

    #[test]
    fn what_a_link_leads_to_is_watched_where_it_is() {
        let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let target = elsewhere.path().canonicalize().unwrap().join("real.py");
        fs::write(&target, "1").unwrap();
        let path = folder.path().join("a.py");
        symlink(&target, &path).unwrap();
        let mut files = watching(&path);
        assert!(files.folders().contains(target.parent().unwrap()));
        assert!(files.concerns(&target, false));
        fs::write(&target, "12").unwrap();
        assert_eq!(files.look(), Some(path));
    }

    #[test]
    fn a_folder_stands_for_all_that_is_in_it() {
        let folder = TempDir::new().unwrap();
        let top = folder.path().canonicalize().unwrap().join("templates");
        fs::create_dir_all(top.join("deep")).unwrap();
        fs::create_dir_all(top.join("__pycache__")).unwrap();
        fs::write(top.join("deep/a.html"), "1").unwrap();
        let mut files = Files::new(vec![top.clone()]);
        assert!(files.folders().is_superset(&BTreeSet::from([top.clone(), top.join("deep")])));
        assert!(files.concerns(&top.join("deep/new.html"), false));
        assert!(!files.concerns(&top.join("deep/.a.html.swp"), true));
        assert_eq!(files.look(), None);
        fs::write(top.join("deep/.a.html.swp"), "1").unwrap();
        fs::write(top.join("__pycache__/a.pyc"), "1").unwrap();
        assert_eq!(files.look(), None);
        fs::write(top.join("deep/new.html"), "1").unwrap();
        assert_eq!(files.look(), Some(top.join("deep/new.html")));
        fs::write(top.join("deep/new.html"), "12").unwrap();
        assert_eq!(files.look(), Some(top.join("deep/new.html")));
        fs::remove_file(top.join("deep/new.html")).unwrap();
        assert_eq!(files.look(), Some(top.join("deep/new.html")));
        assert_eq!(files.look(), None);
    }
}
