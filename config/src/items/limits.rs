//! How large a request may be.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! limits {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Limits" {
        limit_request_line: usize = 4094; Size { min: 64, max: 65_536 };
        {
            brief: "The longest request line (method, target, version), in bytes; above it 414 is answered.",
            value: "SIZE",
        }
        limit_request_fields: usize = 100; Whole { min: 1, max: 1000 };
        {
            brief: "The most header fields in a request; above it 431 is answered.",
            value: "NUMBER",
        }
        limit_request_field_size: usize = 8190; Size { min: 64, max: 65_536 };
        {
            brief: "The longest header field (name and value), in bytes; above it 431 is answered.",
            value: "SIZE",
        }
        limit_request_body: u64 = 1 << 30; Size { min: 0, max: i64::MAX.unsigned_abs() };
        {
            brief: "The largest request body; above it 413 is answered. 0 is no limit.",
            value: "SIZE",
        }
        tmp_upload_dir: Option<PathBuf> = None; OptionalPath { directory: true };
        {
            brief: "Where bodies too large for memory are kept.",
            long: "Those of requests over 512 KiB until the application has read them, and what is over 1 MiB of a reply, \
                   up to 1 GiB each, until a slow client has taken it. The files have no name there and vanish with \
                   their request.",
            value: "DIR",
            default_note: Some("$TMPDIR, else /tmp"),
            example: Some(r#""/var/tmp""#),
        }
    } } };
}
