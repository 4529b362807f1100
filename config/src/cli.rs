//! The command line: its flags made from the items, its values handed on as texts.
//!
//! Checks which flags there are, and leaves their values to `kinds/`. The few flags that are no settings are here.
//! Called by `layers.rs`.

use std::ffi::OsString;

use clap::builder::Str;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, Id};

use crate::errors::Fault;
use crate::foreign;
use crate::items::Item;
use crate::kinds::Shape;
use crate::layers::{Given, Origin};
use crate::node::{Node, Raw};
use crate::settings::ITEMS;

/// What the command line says.
pub(crate) enum Line {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// Anything else.
    Run(Run),
}

/// A command line that needs settings.
pub(crate) struct Run {
    /// What to do with them.
    pub(crate) purpose: Purpose,
    /// `--config`.
    pub(crate) config: Option<String>,
    /// The settings it gives.
    pub(crate) given: Vec<Given>,
}

/// What to do with the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Serve,
    Check,
    Print,
}

/// A flag that is no setting.
pub(crate) struct Plain {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) value: Option<&'static str>,
    pub(crate) brief: &'static str,
    action: fn() -> ArgAction,
}

/// The flags that are no settings, in the order of the help.
pub(crate) const PLAIN: &[Plain] = &[
    Plain {
        long: "config",
        short: Some('c'),
        value: Some("PATH"),
        brief: "The settings file. [default: tapster.toml in the working directory, if there is one]",
        action: || ArgAction::Set,
    },
    Plain {
        long: "check-config",
        short: None,
        value: None,
        brief: "Check the settings and that the application can be loaded, then exit.",
        action: || ArgAction::SetTrue,
    },
    Plain {
        long: "print-config",
        short: None,
        value: None,
        brief: "Print the settings from all sources as a settings file, then exit.",
        action: || ArgAction::SetTrue,
    },
    Plain {
        long: "version",
        short: Some('V'),
        value: None,
        brief: "Print the version, then exit.",
        action: || ArgAction::Version,
    },
    Plain { long: "help", short: Some('h'), value: None, brief: "Print this, then exit.", action: || ArgAction::Help },
];

/// Takes the command line apart.
pub(crate) fn parse(args: &[OsString]) -> Result<Line, Fault> {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => return Ok(Line::Help),
        Err(error) if error.kind() == ErrorKind::DisplayVersion => return Ok(Line::Version),
        Err(error) => return Err(fault(&error)),
    };
    let purpose = match (matches.get_flag("check-config"), matches.get_flag("print-config")) {
        (_, true) => Purpose::Print,
        (true, false) => Purpose::Check,
        (false, false) => Purpose::Serve,
    };
    let given = ITEMS.iter().filter_map(|item| given(item, &matches)).collect();
    Ok(Line::Run(Run { purpose, config: matches.get_one::<String>("config").cloned(), given }))
}

fn command() -> Command {
    let command = Command::new("tapster")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .version(env!("CARGO_PKG_VERSION"))
        .override_usage("tapster [OPTIONS] [APP]");
    let command = PLAIN.iter().fold(command, |command, plain| {
        let mut arg = Arg::new(plain.long).long(plain.long).action((plain.action)());
        if let Some(short) = plain.short {
            arg = arg.short(short);
        }
        command.arg(arg.overrides_with(plain.long))
    });
    ITEMS.iter().fold(command, |command, item| command.args(item_args(item)))
}

/// The flags of one item.
fn item_args(item: &'static Item) -> Vec<Arg> {
    if item.positional {
        return vec![Arg::new(item.key).value_name(item.value)];
    }
    let mut arg = Arg::new(item.key).long(item.long_flag()).value_name(item.value);
    if let Some(short) = item.short {
        arg = arg.short(short);
    }
    if let Some(alias) = item.alias {
        arg = arg.alias(alias);
    }
    match item.kind.shape() {
        // A negative number is a wrong value, and is told so; to the parser alone it were an unknown flag.
        Shape::One => vec![arg.overrides_with(item.key).allow_negative_numbers(true)],
        Shape::List | Shape::Pairs => vec![arg.action(ArgAction::Append)],
        Shape::Switch => {
            let no = Str::from(negated(item));
            let both = [Id::from(&no), Id::from(item.key)];
            let off = Arg::new(&no).long(&no).action(ArgAction::SetTrue).overrides_with_all(&both);
            vec![arg.action(ArgAction::SetTrue).overrides_with_all(&both), off]
        }
    }
}

/// The flag that switches off.
fn negated(item: &Item) -> String {
    format!("no-{}", item.long_flag())
}

/// The value that the command line gives to the item.
fn given(item: &'static Item, matches: &ArgMatches) -> Option<Given> {
    let flag = if item.positional { item.value.to_owned() } else { format!("--{}", item.long_flag()) };
    let all = |id: &str| matches.get_many::<String>(id).map(|values| values.cloned().collect::<Vec<_>>());
    let node = match item.kind.shape() {
        Shape::One => Node::text(all(item.key)?.pop()?),
        Shape::Pairs => Node::list(all(item.key)?),
        Shape::List => {
            // A flag without any text is the empty list, as an empty text is in the file.
            let texts = all(item.key)?.into_iter().filter(|value| !value.trim().is_empty());
            let parts = |value: String| value.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
            Node::list(texts.flat_map(parts))
        }
        Shape::Switch => match (matches.get_flag(item.key), matches.get_flag(&negated(item))) {
            (false, false) => return None,
            (on, _) => Node { raw: Raw::Truth(on), span: 0..0 },
        },
    };
    Some(Given { item, node, origin: Origin::Flag(flag) })
}

/// The parser's error in our words where it is about names that we know more of.
fn fault(error: &clap::Error) -> Fault {
    let invalid = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => name.as_str(),
        _ => "",
    };
    let see = || "`tapster --help` lists the options".to_owned();
    if error.kind() == ErrorKind::UnknownArgument && invalid.starts_with('-') {
        let spelled = |item: &Item| {
            if item.positional {
                "APP, the argument without a flag".to_owned()
            } else {
                format!("--{}", item.long_flag())
            }
        };
        let others = ["config", "check_config", "print_config", "version", "help"];
        let spellings = ["--config", "--check-config", "--print-config", "--version", "--help"];
        let others: Vec<_> = others.into_iter().zip(spellings).collect();
        let hint = foreign::hint(invalid.trim_start_matches('-'), &spelled, &others);
        return Fault::usage(format!("{invalid} is not an option")).hint(hint.unwrap_or_else(see));
    }
    if error.kind() == ErrorKind::UnknownArgument {
        let says = format!("there is one argument without a flag, the application; {invalid:?} is another");
        return Fault::usage(says).hint(see());
    }
    // Its first line says what is wrong; the rest is usage and tips, and ours say more.
    let rendered = error.render().to_string();
    let says = rendered.lines().next().unwrap_or_default();
    Fault::usage(says.strip_prefix("error: ").unwrap_or(says)).hint(see())
}
