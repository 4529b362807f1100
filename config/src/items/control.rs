//! How the running server is asked and told things, beside signals.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! control {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Control" {
        control_socket: Option<PathBuf> = None; SocketPath;
        {
            brief: "The Unix socket at which tapsterctl asks for the status, for reloads and the like.",
            long: "Only root and the user that the server runs as are answered (mode 0600). Its directory must exist and be \
                   writable; the path has at most 107 bytes. `tapsterctl` finds it in the same settings file and in the \
                   same variable as the server. [control.md](control.md) has the commands.",
            value: "PATH",
            example: Some(r#""/run/tapster/control.sock""#),
            reload: Reload::NeedsRestart("whoever controls the running server looks for it at the old path"),
        }
    } } };
}
