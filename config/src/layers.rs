//! The sources laid over one another: defaults, the file, the environment, the command line. Then paths made absolute
//! and checked.
//!
//! Holds the order and nothing of any one setting. [`load`] is called by the arbiter, at its start and on reload.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::cli::{self, Line, Purpose};
use crate::contradictions;
use crate::environment;
use crate::errors::{Errors, Fault};
use crate::file::{self, Contents, Source};
use crate::items::Item;
use crate::kinds::Complaint;
use crate::node::Node;
use crate::settings::ITEMS;
use crate::{Invocation, Settings, Sources, help};

/// A value that a source gives to a setting.
pub(crate) struct Given {
    /// The setting.
    pub(crate) item: &'static Item,
    /// The value.
    pub(crate) node: Node,
    /// The source.
    pub(crate) origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// The settings file.
    File(Rc<Source>),
    /// An environment variable.
    Variable(String),
    /// A flag, with its dashes, or the application's argument.
    Flag(String),
}

/// Makes the sources into an invocation: what to do, with which settings.
///
/// # Errors
///
/// All that is wrong with the file, the environment and the command line, at once; where the command line cannot be
/// understood, only that.
pub fn load(sources: &Sources) -> Result<Invocation, Errors> {
    let run = match cli::parse(&sources.args)? {
        Line::Help => return Ok(Invocation::Help(help::text())),
        Line::Version => return Ok(Invocation::Version(format!("tapster {}", env!("CARGO_PKG_VERSION")))),
        Line::Run(run) => run,
    };
    let mut layers = Layers::over(Settings { chdir: sources.cwd.clone(), ..Settings::default() });
    layers.file(sources, run.config.as_deref());
    let (given, faults) = environment::settings(&sources.env);
    layers.faults.extend(faults);
    layers.take(given);
    layers.take(run.given);
    if !sources.passed.is_empty() && !layers.mentions("bind") {
        layers.settings.bind.clone_from(&sources.passed);
    }
    layers.complete(&sources.cwd);
    if run.purpose != Purpose::Print && !layers.mentions("wsgi_app") {
        layers.faults.push(no_application());
    }
    Errors::of(layers.faults)?;
    let mut settings = Box::new(layers.settings);
    if run.purpose == Purpose::Serve && settings.reload {
        // Its changes count as those of the code do. A printed file does not name itself.
        settings.reload_extra_files.extend(layers.source_path);
    }
    Ok(match run.purpose {
        Purpose::Serve => Invocation::Serve(settings),
        Purpose::Check => Invocation::CheckConfig(settings),
        Purpose::Print => Invocation::PrintConfig(settings),
    })
}

/// The `control_socket` that the file and the environment name, if any. `config` is the flag for the file.
///
/// # Errors
///
/// All that is wrong with them, where it leaves open which socket is meant.
pub(crate) fn control_socket(sources: &Sources, config: Option<&str>) -> Result<Option<PathBuf>, Errors> {
    let mut layers = Layers::over(Settings { chdir: sources.cwd.clone(), ..Settings::default() });
    layers.file(sources, config);
    let (given, faults) = environment::settings(&sources.env);
    layers.faults.extend(faults);
    layers.take(given);
    let is_open = |key: &str| layers.uncertain.contains(key);
    let starts_from_chdir = layers.settings.control_socket.as_ref().is_some_and(|path| path.is_relative());
    if is_open("control_socket") || (starts_from_chdir && is_open("chdir")) {
        Errors::of(layers.faults)?;
    }
    let base = crate::kinds::absolute(&layers.settings.chdir, &sources.cwd);
    Ok(layers.settings.control_socket.map(|path| crate::kinds::absolute(&path, &base)))
}

/// Reads what [`Settings::to_toml`] wrote, without looking at anything else.
pub(crate) fn from_text(text: &str) -> Result<Settings, Errors> {
    let mut layers = Layers::over(Settings::default());
    layers.source(Source { name: "settings".to_owned(), text: text.to_owned() }, None);
    Errors::of(layers.faults)?;
    Ok(layers.settings)
}

/// The settings so far.
struct Layers {
    settings: Settings,
    faults: Vec<Fault>,
    /// Who gave each setting its value, and where it stands there.
    origins: BTreeMap<&'static str, (Origin, Node)>,
    /// The settings that a source gives, or a faulty file may have meant to give, and that cannot be told.
    uncertain: BTreeSet<&'static str>,
    /// The settings file, where there is one.
    source_path: Option<PathBuf>,
}

impl Layers {
    fn over(settings: Settings) -> Self {
        Self { settings, faults: Vec::new(), origins: BTreeMap::new(), uncertain: BTreeSet::new(), source_path: None }
    }

    /// The settings file: the one named by flag or variable, which must exist, or the usual one if it does.
    fn file(&mut self, sources: &Sources, flag: Option<&str>) {
        let named = flag.or_else(|| environment::set(&sources.env, environment::CONFIG));
        let name = named.unwrap_or(file::DEFAULT_NAME);
        let path = sources.cwd.join(name);
        match Source::read(&path, name, named.is_some()) {
            Ok(None) => {}
            Ok(Some(source)) => {
                self.source_path = Some(path);
                self.source(source, Some(&sources.env));
            }
            Err(fault) => {
                self.uncertain.extend(ITEMS.iter().map(|item| item.key));
                self.faults.push(Fault { usage: flag.is_some() && fault.position.is_none(), ..fault });
            }
        }
    }

    /// A file's text: its faults in the order of its lines, whichever step finds them.
    fn source(&mut self, source: Source, env: Option<&BTreeMap<String, String>>) {
        let Contents { given, mut faults, uncertain } = file::contents(&Rc::new(source), env);
        for given in given {
            faults.extend(self.read(given));
        }
        faults.sort_by_key(|fault| fault.position.as_ref().map(|position| (position.line, position.column)));
        self.faults.extend(faults);
        self.uncertain.extend(uncertain);
    }

    fn take(&mut self, given: Vec<Given>) {
        for given in given {
            let faults = self.read(given);
            self.faults.extend(faults);
        }
    }

    /// Lays one value over the settings.
    fn read(&mut self, given: Given) -> Vec<Fault> {
        let Given { item, node, origin } = given;
        let faults = match self.settings.read(item.key, &node) {
            Ok(()) => {
                self.uncertain.remove(item.key);
                Vec::new()
            }
            Err(complaints) => {
                self.uncertain.insert(item.key);
                complaints.into_iter().map(|complaint| origin.fault(item.key, complaint)).collect()
            }
        };
        self.origins.insert(item.key, (origin, node));
        faults
    }

    /// Whether some source gives the setting a value, or may have been meant to.
    fn mentions(&self, key: &str) -> bool {
        self.origins.contains_key(key) || self.uncertain.contains(key)
    }

    /// Makes paths absolute, and checks what can only be checked then.
    fn complete(&mut self, cwd: &Path) {
        self.settings.chdir = crate::kinds::absolute(&self.settings.chdir, cwd);
        let base = self.settings.chdir.clone();
        if base.to_str().is_none() {
            let says = format!("the directory {} cannot be used: its name is not UTF-8", base.display());
            self.faults.push(Fault::new(says));
        }
        self.settings.anchor(&base);
        let mut found = self.settings.faults();
        if found.iter().any(|(key, _)| *key == "chdir") {
            // What is missing under a directory that is missing itself says nothing new.
            found.retain(|(key, _)| *key == "chdir");
        }
        let certain = |(key, _): &(&str, String)| !self.uncertain.contains(key);
        for sides in contradictions::of(&self.settings).into_iter().filter(|sides| sides.iter().all(certain)) {
            // Defaults agree with one another, so that one of the settings is given.
            found.extend(sides.into_iter().find(|(key, _)| self.origins.contains_key(key)));
        }
        for (key, says) in found {
            self.faults.push(match self.origins.get(key) {
                Some((origin, node)) => origin.fault(key, Complaint::of(node, says)),
                None => Fault::new(format!("`{key}` {says}")),
            });
        }
    }
}

impl Origin {
    /// The complaint as a whole sentence, with its place.
    fn fault(&self, key: &str, complaint: Complaint) -> Fault {
        let Complaint { says, hint, span } = complaint;
        match self {
            Self::File(source) => Fault::new(format!("`{key}` {says}")).at(source.position(&span)),
            Self::Variable(name) => Fault::new(format!("{name} {says}")),
            Self::Flag(flag) => Fault::usage(format!("{flag} {says}")),
        }
        .hint(hint)
    }
}

fn no_application() -> Fault {
    Fault::usage("no application is given").hint(
        "name it as in `tapster package.module:callable`, or as `wsgi_app` in tapster.toml, or in TAPSTER_WSGI_APP"
            .to_owned(),
    )
}
