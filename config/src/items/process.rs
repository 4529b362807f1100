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
        daemon: bool = false; Switch;
        {
            brief: "Go on in the background; the command returns when the first worker is ready.",
            long: "It returns with the status 0 then, and with the server's own if that ends before, having printed what \
                   the log says. Until then the boot ends with the command (Ctrl-C). The server has no terminal, and \
                   needs `error_logfile`: there goes too what the application prints. `pid` names the process \
                   in the background. Not for systemd or a container, which keep a server in the background themselves.",
            short: Some('D'),
            reload: Reload::NeedsRestart("a server goes into the background when it starts"),
        }
        user: Option<String> = None; Account { names: Names::Users };
        {
            brief: "The user that the application runs as: a name or a number. Only root can choose.",
            long: "The arbiter stays what it was started as, so that it can bind ports below 1024 at every reload, signal \
                   its processes and write its files; what runs Python (also for `--check-config`) becomes this user \
                   before the interpreter is even looked for, and can't go back. It gets the user's primary group, or \
                   `group`, no other group unless `initgroups` is on, no capability, and `HOME`, `USER` and `LOGNAME` \
                   of that user (`env` comes after that). Interpreter, application and `tmp_upload_dir` have to be \
                   accessible for it. `error_logfile` becomes that user's where it was root's. Names are looked up at \
                   the start and at each reload. Under systemd `User=` does as well, and `AmbientCapabilities=` if a \
                   low port is wanted.",
            short: Some('u'),
            value: "USER",
            example: Some(r#""www-data""#),
            reload: Reload::AppliedAs("by the processes of the new generation"),
        }
        group: Option<String> = None; Account { names: Names::Groups };
        {
            brief: "The group that the application runs as: a name or a number. Only root can choose.",
            long: "Without it, the primary group of `user`. A `user` by a number that no name belongs to needs it.",
            short: Some('g'),
            value: "GROUP",
            example: Some(r#""www-data""#),
            reload: Reload::AppliedAs("by the processes of the new generation"),
        }
        initgroups: bool = false; Switch;
        {
            brief: "Give the application all groups that `user` is a member of, and not the primary group alone.",
            reload: Reload::AppliedAs("by the processes of the new generation"),
        }
        umask: Option<u32> = None; Mask;
        {
            brief: "Which permissions files of the application's do not get, in octal: 0027, say.",
            long: "A text is octal, as for the command `umask`. In the settings file it may also be a TOML number, which is \
                   octal only if it is written so: `0o027`. Without it, the application has the mask that Tapster was \
                   started with; the arbiter's own files (`pid`, `error_logfile`) have that one in any case, and a Unix \
                   socket that is bound has mode 0777.",
            short: Some('m'),
            value: "MASK",
            example: Some(r#""0027""#),
            reload: Reload::AppliedAs("by the processes of the new generation"),
        }
    } } };
}
