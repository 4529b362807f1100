//! [`Settings`], made from the items of `items/`: the struct, its defaults, how each field is read, checked and written.
//!
//! Never looks at a source of settings itself: `layers.rs` reads them in order and hands the values over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::allowed_ips::AllowedIps;
use crate::bind::Bind;
use crate::errors::Errors;
use crate::items::{Item, Platform, Reload};
use crate::kinds::{
    Account, BindList, Chdir, Choice, Choices, Complaint, DAY, HOUR, HeaderNames, Interpreter, Kind, LogTarget, LogTo,
    MINUTE, MOST_WORKERS, Mask, MemoryLimit, Names, Networks, OptionalPath, PathList, SchemeHeaders, Size, SocketPath,
    Switch, Text, Time, Variables, WarmupList, Whole, WorkerCount, default_scheme_headers,
};
use crate::node::Node;
use crate::warmup::Warmup;
use crate::words::{ForwardedHeader, HeaderMap, HopByHop, LogLevel, MemoryMeasure, ProxyProtocol};
use crate::workers::Workers;

macro_rules! define_settings {
    ($(section $section:literal { $(
        $key:ident : $type:ty = $default:expr; $kind:expr;
        { brief: $brief:literal, $($field:ident : $value:expr,)* }
    )* })*) => {
        /// All settings, checked: what the server runs by.
        // The fields' texts are those of `--help`, where brackets are an address's and no link.
        #[allow(rustdoc::broken_intra_doc_links)]
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings { $($(
            #[doc = $brief]
            pub $key: $type,
        )*)* }

        /// Every item, by section, in the order of the documents.
        pub(crate) static ITEMS: &[Item] = &[ $($(
            Item {
                key: stringify!($key), section: $section, brief: $brief, kind: &$kind, $($field: $value,)* ..Item::BLANK
            },
        )*)* ];

        /// The defaults, with `/` as the directory and no application.
        impl Default for Settings {
            fn default() -> Self {
                Self { $($( $key: $default, )*)* }
            }
        }

        impl Settings {
            /// Reads one setting over what it was. An unknown key changes nothing.
            pub(crate) fn read(&mut self, key: &str, node: &Node) -> Result<(), Vec<Complaint>> {
                $($(
                    if key == stringify!($key) {
                        let value = $kind.read(node)?;
                        $kind.merge(&mut self.$key, value);
                    }
                )*)*
                Ok(())
            }

            /// Makes every relative path start from `base`.
            pub(crate) fn anchor(&mut self, base: &Path) {
                $($( $kind.anchor(&mut self.$key, base); )*)*
            }

            /// What can be seen to be wrong with the settings only once they are complete, each with its key.
            pub(crate) fn faults(&self) -> Vec<(&'static str, String)> {
                let mut faults = Vec::new();
                $($(
                    if let Err(says) = $kind.verify(&self.$key) {
                        faults.push((stringify!($key), says));
                    }
                )*)*
                faults
            }

            /// The settings as TOML values, in the order of the items; what is not set is left out.
            pub(crate) fn values(&self) -> Vec<(&'static str, toml::Value)> {
                let mut values = Vec::new();
                $($(
                    if let Some(value) = $kind.value(&self.$key) {
                        values.push((stringify!($key), value));
                    }
                )*)*
                values
            }
        }
    };
}

application! { sockets workers scaling recycling limits deadlines proxy http logging process control development define_settings }

impl Settings {
    /// The settings as TOML, each written out, none depending on the directory or the environment.
    pub fn to_toml(&self) -> String {
        // Each value is one of TOML's own already, so there is nothing that writing could refuse.
        toml::to_string(self).unwrap_or_default()
    }

    /// The settings as a settings file says them: as [`Settings::to_toml`], with what would be taken for a variable there
    /// written as plain text.
    pub fn to_file(&self) -> String {
        let mut values = self.values();
        values.iter_mut().for_each(|(_, value)| crate::expand::escape(value));
        toml::to_string(&Written(values)).unwrap_or_default()
    }

    /// Reads what [`Settings::to_toml`] wrote and gives an equal value. No variable is replaced, no path is made
    /// absolute, and nothing outside of the text is looked at. What the text leaves out has its default.
    ///
    /// # Errors
    ///
    /// When the text is not TOML, or names a setting or a value that does not exist.
    pub fn from_toml(text: &str) -> Result<Self, Errors> {
        crate::layers::from_text(text)
    }

    /// The keys that differ in `new` and that a reload cannot apply, each with the reason.
    pub fn needing_restart(&self, new: &Self) -> Vec<(&'static str, &'static str)> {
        let (old, new) = (self.values(), new.values());
        let value = |values: &[(&str, toml::Value)], key: &str| {
            values.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
        };
        let differs = |item: &&Item| value(&old, item.key) != value(&new, item.key);
        ITEMS
            .iter()
            .filter(differs)
            .filter_map(|item| match item.reload {
                Reload::NeedsRestart(reason) => Some((item.key, reason)),
                Reload::Applied | Reload::AppliedAs(_) => None,
            })
            .collect()
    }
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written(self.values()).serialize(serializer)
    }
}

/// Values to be written, by their keys.
struct Written(Vec<(&'static str, toml::Value)>);

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let (tables, plain): (Vec<_>, Vec<_>) = self.0.iter().partition(|(_, value)| value.is_table());
        // Tables last: in TOML, what follows a table's heading belongs to it.
        for (key, value) in plain.into_iter().chain(tables) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
