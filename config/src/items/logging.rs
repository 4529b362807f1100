//! What the server itself reports, and where.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! logging {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Logging" {
        log_level: LogLevel = LogLevel::Info; Choice { all: &LogLevel::ALL, name: LogLevel::name };
        {
            brief: "The least severe reports that are written: debug, info, warning, error or critical.",
            long: "`critical` is the same as `error`.",
            value: "LEVEL",
        }
        error_logfile: LogTarget = LogTarget::Stderr; LogTo;
        {
            brief: "Where the server's reports go: a file, or - for the standard error stream.",
            long: "What the application writes to `wsgi.errors` goes there too; what it prints goes to Tapster's own \
                   streams. There is no access log. To rotate a file, move it away and send USR1, at which \
                   every process opens it anew.",
            alias: Some("log-file"),
            value: "PATH",
        }
    } } };
}
