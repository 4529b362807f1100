//! How long a client may take: to send its request, to take the reply, to go away.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! deadlines {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Deadlines" {
        client_header_timeout: Duration = Duration::from_secs(30); Time { min: 100, max: DAY };
        {
            brief: "How long a client may take to send a request's head; then 408 is answered.",
            long: "Counted from the request's first byte to the end of its header fields, however steadily they come. A new \
                   connection that sends nothing is closed after the same time.",
            value: "DURATION",
        }
        client_body_timeout: Duration = Duration::from_secs(30); Time { min: 100, max: DAY };
        {
            brief: "How long a client may send nothing of a request body that is due; then 408 is answered.",
            value: "DURATION",
        }
        client_body_min_rate: u64 = 500; Size { min: 0, max: 1 << 30 };
        {
            brief: "The bytes a second that a request body must arrive with; a slower one gets 408. 0 is no minimum.",
            long: "It is the average since the end of the head, and counts from when `client_body_timeout` has passed \
                   since then.",
            value: "SIZE",
        }
        client_body_total_timeout: Duration = Duration::from_secs(6 * 60 * 60); Time { min: 0, max: DAY };
        {
            brief: "The longest that a whole request body may take; then 408 is answered. 0 is no limit.",
            value: "DURATION",
        }
        send_timeout: Duration = Duration::from_secs(60); Time { min: 100, max: DAY };
        {
            brief: "How long a client may take nothing of a reply; then its connection is cut off.",
            long: "The same where its application has to wait for it, since neither memory nor disk have room for the rest of \
                   the reply (`tmp_upload_limit`): `timeout` does not count meanwhile.",
            value: "DURATION",
        }
        lingering_timeout: Duration = Duration::from_secs(2); Time { min: 100, max: DAY };
        {
            brief: "After a connection's last reply, how long what the client still sends is read and thrown away.",
            long: "Then the connection is closed. Closed at once, with bytes unread, it would be reset, and the reply \
                   lost with it (a 413 in the middle of an upload, say).",
            value: "DURATION",
        }
    } } };
}
