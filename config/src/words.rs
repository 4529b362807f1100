//! Settings whose value is one word of a few: an enum each, with its words.
//!
//! Only the words and their meanings; `kinds/choices.rs` reads and writes them.

/// Defines an enum whose variants each have a word, all of them in order, and the word of each.
macro_rules! words {
    ($( $(#[$about:meta])* $name:ident: $count:literal {
        $( $(#[$doc:meta])* $variant:ident = $word:literal, )*
    } )*) => { $(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$doc])* $variant, )* }

        impl $name {
            /// All of them, in the order of the documents.
            pub const ALL: [Self; $count] = [$( Self::$variant, )*];

            /// Its name in the settings.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }
        }
    )* };
}

words! {
    /// How severe a report must be to be written, the least severe first.
    LogLevel: 5 {
        /// Everything, for looking into a problem.
        Debug = "debug",
        /// What happens: starts, stops, reloads.
        Info = "info",
        /// What may need attention.
        Warning = "warning",
        /// What failed.
        Error = "error",
        /// What keeps the server from serving.
        Critical = "critical",
    }

    /// A header by which a proxy says what it knows of the client.
    ForwardedHeader: 6 {
        /// `X-Forwarded-For`: the client's address, and those of the proxies before the last.
        XForwardedFor = "x-forwarded-for",
        /// `X-Forwarded-Proto`: the scheme that the client used.
        XForwardedProto = "x-forwarded-proto",
        /// `X-Forwarded-Host`: the host that the client asked for.
        XForwardedHost = "x-forwarded-host",
        /// `X-Forwarded-Port`: the port that the client connected to.
        XForwardedPort = "x-forwarded-port",
        /// `X-Forwarded-Prefix`: the path under which the proxy mounts the application.
        XForwardedPrefix = "x-forwarded-prefix",
        /// `Forwarded` (RFC 7239): address, scheme and host in one.
        Forwarded = "forwarded",
    }

    /// What counts as a process's memory.
    MemoryMeasure: 2 {
        /// Its own, and its share of what it shares with others (proportional set size).
        Pss = "pss",
        /// What it alone has (unique set size).
        Uss = "uss",
    }

    /// Whether connections begin with a PROXY protocol header.
    ProxyProtocol: 4 {
        /// They do not.
        Off = "off",
        /// Version 1, a line of text.
        V1 = "v1",
        /// Version 2, binary.
        V2 = "v2",
        /// Either version.
        Auto = "auto",
    }

    /// What becomes of request headers whose names WSGI cannot tell from others'.
    HeaderMap: 3 {
        /// They are left out.
        Drop = "drop",
        /// The request is answered with 400.
        Refuse = "refuse",
        /// They are passed on, joined with those they look like.
        Dangerous = "dangerous",
    }

    /// What becomes of hop-by-hop headers that the application sets.
    HopByHop: 2 {
        /// `start_response` raises, as PEP 3333 says.
        Refuse = "refuse",
        /// They are left out, with one warning for each name.
        Drop = "drop",
    }
}
