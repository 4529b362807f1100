//! Header fields that HTTP and WSGI see differently, and what is said of the server.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! http {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "HTTP" {
        header_map: HeaderMap = HeaderMap::Drop; Choice { all: &HeaderMap::ALL, name: HeaderMap::name };
        {
            brief: "What becomes of request headers with an underscore in their name: drop, refuse or dangerous.",
            long: "To the application `X_User` and `X-User` are the same (`HTTP_X_USER`), so that a client could pass \
                   off the one as the other, which the proxy has checked. `drop` leaves them out, `refuse` answers \
                   400, `dangerous` passes them on. `forwarder_headers` are excepted.",
            value: "MODE",
        }
        server_header: bool = true; Switch;
        {
            brief: "Send `Server: tapster` with each reply; off leaves the field out.",
        }
        hop_by_hop_headers: HopByHop = HopByHop::Refuse; Choice { all: &HopByHop::ALL, name: HopByHop::name };
        {
            brief: "What becomes of hop-by-hop headers (Connection, say) that the application sets: refuse or drop.",
            long: "They are the server's to set. `refuse` lets `start_response` raise, as PEP 3333 says; `drop` leaves \
                   them out, with one warning for each name, as gunicorn does.",
            value: "MODE",
        }
        early_hints: bool = true; Switch;
        {
            brief: "Let the application send early hints (replies 103); off keeps `wsgi.early_hints` from it.",
            long: "Nothing is sent unless the application calls it, nor to clients of HTTP/1.0. Turn it off behind nginx \
                   before 1.29 with `proxy_http_version 1.1`, which takes a 103 for the final reply and lets its client \
                   wait for the rest.",
        }
    } } };
}
