//! What is wrong with the settings: every fault with its place, what is wrong there, and what to do about it.
//!
//! Never prints; the arbiter writes an [`Errors`] to the terminal or the log. Made by the modules that read sources.

use std::fmt;

/// All that is wrong, at least one fault. `Display` writes one block each, separated by newlines.
#[derive(Clone, Debug, PartialEq)]
pub struct Errors {
    faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    /// Where in the file; nothing for variables and flags, which `says` names.
    pub(crate) position: Option<Box<Position>>,
    /// A sentence without its full stop.
    pub(crate) says: String,
    /// What to do, where that is not plain.
    pub(crate) hint: Option<String>,
    /// Whether the command line is wrong, and not a setting in a file or in the environment.
    pub(crate) usage: bool,
}

/// A place in a settings file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Position {
    /// The file, as it was named.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// The whole line.
    pub(crate) source: String,
    /// How many characters of it are meant, at least one.
    pub(crate) length: usize,
}

impl Errors {
    /// Nothing, where there are no faults.
    pub(crate) fn of(faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self { faults }) }
    }

    /// Whether the command line is (also) wrong.
    pub fn is_usage(&self) -> bool {
        self.faults.iter().any(|fault| fault.usage)
    }

    /// The status to exit with: 2 for a wrong command line, else 1.
    pub fn exit_code(&self) -> u8 {
        if self.is_usage() { 2 } else { 1 }
    }

    /// How many things are wrong.
    pub fn count(&self) -> usize {
        self.faults.len()
    }
}

impl Fault {
    /// A fault outside of files.
    pub(crate) fn new(says: impl Into<String>) -> Self {
        Self { position: None, says: says.into(), hint: None, usage: false }
    }

    /// A fault of the command line.
    pub(crate) fn usage(says: impl Into<String>) -> Self {
        Self { usage: true, ..Self::new(says) }
    }

    /// The same at a place in a file.
    pub(crate) fn at(self, position: Position) -> Self {
        Self { position: Some(Box::new(position)), ..self }
    }

    /// The same with what to do.
    pub(crate) fn hint(self, hint: impl Into<Option<String>>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

impl From<Fault> for Errors {
    fn from(fault: Fault) -> Self {
        Self { faults: vec![fault] }
    }
}

impl std::error::Error for Errors {}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.position {
            None => write!(f, "{}", self.says)?,
            Some(at) => {
                write!(f, "{}:{}:{}: {}", at.file, at.line, at.column, self.says)?;
                write!(f, "{at}")?;
            }
        }
        match &self.hint {
            None => Ok(()),
            Some(hint) => write!(f, "\n  hint: {hint}"),
        }
    }
}

/// The line with carets under what is meant, each on a line of its own.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let before = " ".repeat(self.column - 1);
        let carets = "^".repeat(self.length);
        // A tab as one space, so that the carets stand where they should.
        let source = self.source.replace('\t', " ");
        write!(f, "\n  {number} | {source}\n  {:width$} | {before}{carets}", "", width = number.len())
    }
}
