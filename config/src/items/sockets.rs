//! Where requests come in: the addresses and their queues.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! sockets {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Sockets" {
        bind: Vec<Bind> = vec![Bind::Tcp { host: "127.0.0.1".to_owned(), port: 8000 }]; BindList;
        {
            brief: "Where to listen: HOST:PORT, :PORT (every IPv4 address), [IPV6]:PORT, unix:PATH, fd://N or fd://NAME.",
            long: "In the file a list or a text, elsewhere separated by commas; the flag may be repeated. A host \
                   alone gets port 8000; port 0 takes a free one. `[::]:PORT` is every IPv6 address and no IPv4 one: for \
                   both, name both. `unix:@NAME` is a socket in Linux's abstract \
                   namespace. `fd://N` is a listening socket that was inherited under this number, and `fd://NAME` is each that \
                   a service manager has passed under this name (systemd's `FileDescriptorName=`; without that it is the \
                   name of the socket unit, as in `fd://tapster.socket`). Where `bind` is not set at all, all \
                   sockets that were so passed (`LISTEN_FDS`, for the process `LISTEN_PID`) are listened at, and \
                   nothing else. A socket with a \
                   path may be connected to by every user (mode 0777, whatever the umask), so that a proxy of another \
                   user can; who may is for the permissions of its directory to say. At most 60 addresses.",
            short: Some('b'),
            value: "ADDRESS",
            platform: Some(Platform {
                variable: "PORT",
                reading: |port| match port.parse::<u16>() {
                    Ok(port) => Ok(format!("0.0.0.0:{port}")),
                    Err(_) => Err("must be a port, 0 to 65535"),
                },
                means: "a port, listened to on every IPv4 address",
            }),
            reload: Reload::AppliedAs("sockets that stay keep listening; new ones are bound, others closed"),
        }
        backlog: u32 = 2048; Whole { min: 1, max: 65_535 };
        {
            brief: "How many connections may wait in a socket's queue until they are accepted.",
            long: "The system caps it (`net.core.somaxconn`).",
            value: "NUMBER",
            reload: Reload::AppliedAs("to sockets that are newly bound"),
        }
    } } };
}
