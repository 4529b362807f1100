//! The arbiter as a process among others.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! process {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Process" {
        pid: Option<PathBuf> = None; OptionalPath { directory: false };
        {
            brief: "The file to keep the arbiter's process number in while it runs.",
            short: Some('p'),
            value: "PATH",
            example: Some(r#""/run/tapster.pid""#),
            reload: Reload::NeedsRestart("other programs look for the running server in the old file"),
        }
    } } };
}
