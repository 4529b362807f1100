//! What a proxy in front may say about the client, and which proxies are believed.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! proxy {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Behind a proxy" {
        forwarded_allow_ips: AllowedIps = AllowedIps::loopback(); Networks;
        {
            brief: "The proxies whose headers about the client are believed: IP addresses, networks, or * for all.",
            long: "From others, `secure_scheme_headers`, `forwarder_headers` and `trusted_proxy_headers` are ordinary \
                   headers. In the file a list or a text, elsewhere separated by commas; the flag may be repeated. \
                   Whoever connects through a Unix socket is believed always, and with an empty list nobody else. \
                   Write `*` only where nothing but the proxy can connect.",
            value: "IP[,IP]",
            platform: Some(Platform {
                variable: "FORWARDED_ALLOW_IPS",
                reading: |addresses| Ok(addresses.to_owned()),
                means: "the same list, under gunicorn's name",
            }),
        }
        secure_scheme_headers: Vec<(String, String)> = default_scheme_headers(); SchemeHeaders;
        {
            brief: "The header and value by which a proxy says that its client came by HTTPS.",
            long: "In the file a table, in the environment separated by commas; a flag holds one and may be repeated. \
                   What is given replaces the defaults. Names are compared whatever their case, values exactly. Where \
                   a believed proxy (`forwarded_allow_ips`) sends one of these headers, `wsgi.url_scheme` is \"https\" \
                   if the value is the one given here, else \"http\"; two that disagree are answered with 400.",
            value: "NAME=VALUE",
        }
        forwarder_headers: Vec<String> = vec!["SCRIPT_NAME".to_owned(), "PATH_INFO".to_owned()]; HeaderNames;
        {
            brief: "Headers with an underscore that a believed proxy may set, whatever `header_map` says; * is all.",
            long: "Such as `SCRIPT_NAME`, under which the application is mounted, or `REMOTE_USER`. The proxy must \
                   remove what its clients send under these names. In the file a list or a text, elsewhere separated \
                   by commas; the flag may be repeated. Upper and lower case are the same.",
            value: "NAME[,NAME]",
        }
        trusted_proxy_headers: Vec<ForwardedHeader> = Vec::new();
            Choices { all: &ForwardedHeader::ALL, name: ForwardedHeader::name };
        {
            brief: "Which headers of a believed proxy replace the client's address, scheme, host and path prefix.",
            long: "Of x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port, x-forwarded-prefix and \
                   forwarded (RFC 7239). Name only those that the proxy sets or removes itself: what it passes on \
                   unseen is the client's own. Of a list of addresses the last counts that is not in \
                   `forwarded_allow_ips` (with `*` the very last), of other lists the last element; where headers \
                   contradict one another, 400 is answered. Those not named reach the application as plain headers. \
                   In the file a list or a text, elsewhere separated by commas; the flag may be repeated.",
            value: "NAME[,NAME]",
            example: Some(r#"["x-forwarded-for", "x-forwarded-proto"]"#),
        }
        proxy_protocol: ProxyProtocol = ProxyProtocol::Off;
            Choice { all: &ProxyProtocol::ALL, name: ProxyProtocol::name };
        {
            brief: "Whether connections begin with a PROXY protocol header, and in which version: off, v1, v2 or auto.",
            long: "`auto` takes either version. If not `off`, every connection has to come from `proxy_allow_ips` and \
                   begin with such a header; one that does not is closed.",
            value: "MODE",
        }
        proxy_allow_ips: AllowedIps = AllowedIps::loopback(); Networks;
        {
            brief: "The proxies that may send a PROXY protocol header: IP addresses, networks, or * for all.",
            long: "Written as `forwarded_allow_ips`; whoever connects through a Unix socket may always. Without \
                   `proxy_protocol` it does nothing.",
            alias: Some("proxy-allow-from"),
            value: "IP[,IP]",
        }
    } } };
}
