//! How large a request may be, and how many a connection and a worker may hold.
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
        limit_request_head: usize = 64 << 10; Size { min: 1 << 10, max: 16 << 20 };
        {
            brief: "The largest request head (request line and all header fields); above it 431 is answered.",
            long: "It bounds the memory that an unfinished head can take, whatever the other limits allow. At least \
                   4 bytes more than `limit_request_line`.",
            value: "SIZE",
        }
        limit_request_body: u64 = 1 << 30; Size { min: 0, max: i64::MAX.unsigned_abs() };
        {
            brief: "The largest request body; above it 413 is answered. 0 is no limit.",
            value: "SIZE",
        }
        limit_pipelined: usize = 64 << 10; Size { min: 4 << 10, max: 64 << 10 };
        {
            brief: "The most bytes of later requests that a connection may hold while one is served.",
            long: "What a client sends beyond that waits in the system's socket buffer, and then with the client.",
            value: "SIZE",
        }
        keep_alive_requests: u32 = 10_000; Whole { min: 0, max: 1_000_000_000 };
        {
            brief: "The most requests that a connection may bring; 0 is no limit.",
            long: "The reply to the last of them says `Connection: close`.",
            value: "NUMBER",
        }
        worker_connections: u32 = 1000; Whole { min: 1, max: 1_000_000 };
        {
            brief: "The most connections that a worker holds.",
            long: "At the limit it closes the connection that has been idle longest to take a new one; if none is \
                   idle, new ones wait in the socket's queue (`backlog`).",
            value: "NUMBER",
        }
        limit_queue: u32 = 1000; Whole { min: 1, max: 1_000_000 };
        {
            brief: "The most complete requests that may wait in a worker for a free thread; above it 503 is answered.",
            long: "Each of them has a connection to itself, so only a number below `worker_connections` changes anything. How \
                   long they may wait is for `queue_timeout` to say.",
            value: "NUMBER",
        }
        tmp_upload_dir: Option<PathBuf> = None; OptionalPath { directory: true };
        {
            brief: "Where bodies too large for memory are kept.",
            long: "Those of requests over 2 MiB until the application has read them, and what is over 1 MiB of a reply, \
                   up to 1 GiB each, until a slow client has taken it; smaller ones too, where all connections of a worker \
                   together would have more than 64 MiB in memory. The files have no name there and vanish with their \
                   request.",
            value: "DIR",
            default_note: Some("$TMPDIR, else /tmp"),
            example: Some(r#""/var/tmp""#),
        }
        tmp_upload_limit: u64 = 16 << 30; Size { min: 0, max: i64::MAX.unsigned_abs() };
        {
            brief: "The most that a worker keeps in temporary files at a time; 0 is no limit.",
            long: "Beyond it a request body that is too large for memory is answered with 507, and a reply waits for its \
                   client. Set it below the room that `tmp_upload_dir` has.",
            value: "SIZE",
        }
    } } };
}
