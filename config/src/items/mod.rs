//! The settings, one item each, a file a category; what they have in common is here. Reads and checks nothing itself.
//!
//! A category's file holds one macro. Called as `application! { sockets workers … define_settings }` it passes its
//! items, and those of the categories before it, to the next macro named; the last one, `define_settings!` in
//! `settings.rs`, makes of them all the struct [`Settings`](crate::Settings) and the table of [`Item`]s. So a new
//! setting is one new item here and nothing elsewhere. An item reads:
//!
//! ```text
//! field: Type = default expression; kind that reads, checks and writes it;
//! { brief: "one line", long: "…", reload: Reload::Applied, /* and any other field of Item */ }
//! ```

use crate::kinds::Described;

#[macro_use]
mod application;
#[macro_use]
mod sockets;
#[macro_use]
mod workers;
#[macro_use]
mod scaling;
#[macro_use]
mod recycling;
#[macro_use]
mod limits;
#[macro_use]
mod deadlines;
#[macro_use]
mod proxy;
#[macro_use]
mod http;
#[macro_use]
mod logging;
#[macro_use]
mod process;
#[macro_use]
mod control;
#[macro_use]
mod development;

/// What is known of a setting besides its value.
pub(crate) struct Item {
    /// Its name in the file; the long flag and the environment variable follow from it.
    pub(crate) key: &'static str,
    /// The heading it stands under in the help and the documents.
    pub(crate) section: &'static str,
    /// One line, for `--help` and the example file.
    pub(crate) brief: &'static str,
    /// What there is to say beyond `brief`, in Markdown; may be empty.
    pub(crate) long: &'static str,
    /// The one-letter flag.
    pub(crate) short: Option<char>,
    /// A second long flag, without its dashes.
    pub(crate) alias: Option<&'static str>,
    /// What stands for the value in the help.
    pub(crate) value: &'static str,
    /// Given on the command line as the argument without a flag.
    pub(crate) positional: bool,
    /// A variable that hosting platforms set, weaker than ours.
    pub(crate) platform: Option<Platform>,
    /// How the default is described where its value says little.
    pub(crate) default_note: Option<&'static str>,
    /// The line's right side in the example file, where the default is nothing or depends on the machine.
    pub(crate) example: Option<&'static str>,
    /// What a reload can do with it.
    pub(crate) reload: Reload,
    /// Reads it; here only to say what it expects.
    pub(crate) kind: &'static dyn Described,
}

/// A variable set by hosting platforms, and what its value means for the setting.
pub(crate) struct Platform {
    /// The variable's name.
    pub(crate) variable: &'static str,
    /// Turns its value into the setting's text, or says what it must be.
    pub(crate) reading: fn(&str) -> Result<String, &'static str>,
    /// The reading in words, for the documents.
    pub(crate) means: &'static str,
}

/// What a reload (HUP) does with a changed setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reload {
    /// The next generation of workers gets it.
    Applied,
    /// Applied, in the way the text says.
    AppliedAs(&'static str),
    /// It stays what it was at the start, for the reason the text gives.
    NeedsRestart(&'static str),
}

impl Item {
    /// What items leave out.
    pub(crate) const BLANK: Self = Self {
        key: "",
        section: "",
        brief: "",
        long: "",
        short: None,
        alias: None,
        value: "VALUE",
        positional: false,
        platform: None,
        default_note: None,
        example: None,
        reload: Reload::Applied,
        kind: &crate::kinds::Switch,
    };

    /// The long flag without its dashes: `graceful-timeout`.
    pub(crate) fn long_flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// The environment variable: `TAPSTER_GRACEFUL_TIMEOUT`.
    pub(crate) fn variable(&self) -> String {
        format!("{}{}", crate::environment::PREFIX, self.key.to_ascii_uppercase())
    }
}
