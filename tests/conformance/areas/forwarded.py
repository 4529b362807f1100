"""Behind a proxy: which fields are believed, from whom, and what the application sees of them."""

from ..rows import environ, row, served

SCHEME = "secure_scheme_headers"
NAMES = "forwarder_headers"
MOUNT = "SCRIPT_NAME"
PEERS = "forwarded_allow_ips"
FOR = "X-Forwarded-For"
OTHERS = "X-Forwarded-*"
FORWARDED = "RFC 7239"

ALL = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "forwarded",
]
#: We come from 127.0.0.1, and two other networks are of proxies too.
PROXIES = "127.0.0.1,10.0.0.0/8,2001:db8:1::/48"
BELIEVED = {"trusted_proxy_headers": ALL, "forwarded_allow_ips": PROXIES}
STRANGER = {"trusted_proxy_headers": ALL, "forwarded_allow_ips": "10.0.0.1"}
EVERYBODY = {"trusted_proxy_headers": ALL, "forwarded_allow_ips": "*"}
UNIX = {"bind": "unix:server.sock"}


def told(rule, *fields, expected, source=OTHERS, settings=BELIEVED):
    """What is seen of a believed proxy's fields."""
    return row(rule, source, environ(*fields), expected, **settings)


CLIENTS = (
    row(
        "X-Forwarded-For changes nothing by default",
        FOR,
        environ("X-Forwarded-For: 203.0.113.7"),
        served(REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="203.0.113.7"),
    ),
    told(
        "a believed X-Forwarded-For is the client",
        "X-Forwarded-For: 203.0.113.7",
        expected=served(REMOTE_ADDR="203.0.113.7", REMOTE_PORT=None, HTTP_X_FORWARDED_FOR="203.0.113.7"),
        source=FOR,
    ),
    told(
        "X-Forwarded-For may have a port",
        "X-Forwarded-For: 203.0.113.7:4711",
        expected=served(REMOTE_ADDR="203.0.113.7", REMOTE_PORT="4711"),
        source=FOR,
    ),
    told(
        "X-Forwarded-For may be an IPv6 address",
        "X-Forwarded-For: 2001:db8::7",
        expected=served(REMOTE_ADDR="2001:db8::7", REMOTE_PORT=None),
        source=FOR,
    ),
    told(
        "X-Forwarded-For may be an IPv6 address with a port",
        "X-Forwarded-For: [2001:db8::7]:4711",
        expected=served(REMOTE_ADDR="2001:db8::7", REMOTE_PORT="4711"),
        source=FOR,
    ),
    told(
        "the last address that is no proxy's is the client",
        "X-Forwarded-For: 198.51.100.1, 203.0.113.7, 10.1.2.3",
        expected=served(REMOTE_ADDR="203.0.113.7"),
        source=FOR,
    ),
    told(
        "a client's own X-Forwarded-For is not believed",
        "X-Forwarded-For: 10.9.9.9, 198.51.100.1, 203.0.113.7",
        expected=served(REMOTE_ADDR="203.0.113.7"),
        source=FOR,
    ),
    told(
        "where all are proxies the first is the client",
        "X-Forwarded-For: 10.1.1.1, 10.2.2.2, 2001:db8:1::3",
        expected=served(REMOTE_ADDR="10.1.1.1"),
        source=FOR,
    ),
    told(
        "X-Forwarded-For is read over several fields",
        "X-Forwarded-For: 203.0.113.7",
        "X-Forwarded-For: 10.1.2.3",
        expected=served(REMOTE_ADDR="203.0.113.7"),
        source=FOR,
    ),
    told(
        "an unknown client leaves the proxy's address",
        "X-Forwarded-For: 203.0.113.7, unknown",
        expected=served(REMOTE_ADDR="127.0.0.1"),
        source=FOR,
    ),
    told(
        "a client that is no address is refused",
        "X-Forwarded-For: 203.0.113.7, <script>",
        expected=400,
        source=FOR,
    ),
    told(
        "an empty X-Forwarded-For leaves the proxy's address",
        "X-Forwarded-For:",
        expected=served(REMOTE_ADDR="127.0.0.1"),
        source=FOR,
    ),
    told(
        "X-Forwarded-For of a stranger is a field like others",
        "X-Forwarded-For: 203.0.113.7",
        expected=served(REMOTE_ADDR="127.0.0.1"),
        source=FOR,
        settings=STRANGER,
    ),
    told(
        "if everybody is believed, the last address is the client",
        "X-Forwarded-For: 203.0.113.7, 198.51.100.1",
        expected=served(REMOTE_ADDR="198.51.100.1"),
        source=FOR,
        settings=EVERYBODY,
    ),
)

PLACES = (
    told("a believed X-Forwarded-Proto is the scheme", "X-Forwarded-Proto: https", expected=served(scheme="https")),
    told(
        "a believed X-Forwarded-Proto is found in any case", "X-Forwarded-Proto: HTTPS", expected=served(scheme="https")
    ),
    told(
        "a believed X-Forwarded-Proto is a list, of which the last counts",
        "X-Forwarded-Proto: http, https",
        expected=served(scheme="https"),
    ),
    told("X-Forwarded-Proto may be wss", "X-Forwarded-Proto: wss", expected=served(scheme="https")),
    told("another X-Forwarded-Proto is refused", "X-Forwarded-Proto: gopher", expected=400),
    told(
        "a believed X-Forwarded-Proto must agree with scheme headers",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Ssl: on",
        expected=400,
    ),
    told(
        "a believed X-Forwarded-Host is the host",
        "X-Forwarded-Host: site.example",
        expected=served(HTTP_HOST="site.example", SERVER_NAME="site.example", SERVER_PORT="80"),
    ),
    told(
        "X-Forwarded-Host may have a port",
        "X-Forwarded-Host: site.example:81",
        expected=served(HTTP_HOST="site.example:81", SERVER_NAME="site.example", SERVER_PORT="81"),
    ),
    told(
        "X-Forwarded-Host's port is the scheme's",
        "X-Forwarded-Host: site.example",
        "X-Forwarded-Proto: https",
        expected=served(HTTP_HOST="site.example", SERVER_PORT="443", scheme="https"),
    ),
    told(
        "X-Forwarded-Host is a list, of which the last counts",
        "X-Forwarded-Host: evil.example, site.example",
        expected=served(HTTP_HOST="site.example"),
    ),
    told("an X-Forwarded-Host that is none is refused", "X-Forwarded-Host: a/b", expected=400),
    told("an empty X-Forwarded-Host is refused", "X-Forwarded-Host:", expected=400),
    told(
        "a believed X-Forwarded-Port is the port",
        "X-Forwarded-Port: 8443",
        expected=served(HTTP_HOST="a:8443", SERVER_PORT="8443"),
    ),
    told(
        "an X-Forwarded-Port that is the scheme's is left out of Host",
        "X-Forwarded-Port: 443",
        "X-Forwarded-Proto: https",
        expected=served(HTTP_HOST="a", SERVER_PORT="443"),
    ),
    told(
        "X-Forwarded-Port goes with X-Forwarded-Host",
        "X-Forwarded-Host: site.example",
        "X-Forwarded-Port: 8443",
        expected=served(HTTP_HOST="site.example:8443", SERVER_NAME="site.example", SERVER_PORT="8443"),
    ),
    told("an X-Forwarded-Port that is no number is refused", "X-Forwarded-Port: http", expected=400),
    told("an X-Forwarded-Port of 0 is refused", "X-Forwarded-Port: 0", expected=400),
    told("an X-Forwarded-Port over 65535 is refused", "X-Forwarded-Port: 65536", expected=400),
    told(
        "a believed X-Forwarded-Prefix is the mount point",
        "X-Forwarded-Prefix: /app",
        expected=served(SCRIPT_NAME="/app", PATH_INFO="/environ"),
    ),
    told(
        "X-Forwarded-Prefix's last slash is none of it",
        "X-Forwarded-Prefix: /app/",
        expected=served(SCRIPT_NAME="/app"),
    ),
    told(
        "X-Forwarded-Prefix is percent-decoded as a path is",
        "X-Forwarded-Prefix: /a%20b",
        expected=served(SCRIPT_NAME="/a b"),
    ),
    told("an X-Forwarded-Prefix of a slash is none", "X-Forwarded-Prefix: /", expected=served(SCRIPT_NAME="")),
    told("an X-Forwarded-Prefix without a slash is refused", "X-Forwarded-Prefix: app", expected=400),
    told("an X-Forwarded-Prefix that names a host is refused", "X-Forwarded-Prefix: //evil.example", expected=400),
    told("an X-Forwarded-Prefix that climbs is refused", "X-Forwarded-Prefix: /a/../b", expected=400),
    told("an X-Forwarded-Prefix that climbs by escapes is refused", "X-Forwarded-Prefix: /a/%2e%2e/b", expected=400),
    told(
        "X-Forwarded-Prefix must agree with SCRIPT_NAME",
        "X-Forwarded-Prefix: /app",
        "SCRIPT_NAME: /environ",
        expected=400,
    ),
    told(
        "X-Forwarded-Host and -Port of a stranger are fields like others",
        "X-Forwarded-Host: evil",
        "X-Forwarded-Port: 1",
        expected=served(HTTP_HOST="a", HTTP_X_FORWARDED_HOST="evil"),
        settings=STRANGER,
    ),
    row(
        "X-Forwarded-Host changes nothing by default",
        OTHERS,
        environ("X-Forwarded-Host: evil", "X-Forwarded-Port: 1"),
        served(HTTP_HOST="a", HTTP_X_FORWARDED_HOST="evil"),
    ),
    row(
        "only those that are named are believed",
        "trusted_proxy_headers",
        environ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-Host: evil", "Forwarded: for=198.51.100.1"),
        served(REMOTE_ADDR="203.0.113.7", HTTP_HOST="a"),
        trusted_proxy_headers=["x-forwarded-for"],
    ),
)


def forwarded(rule, value, expected, *fields):
    """What is seen of a believed proxy's Forwarded."""
    return told(rule, f"Forwarded: {value}", *fields, expected=expected, source=FORWARDED)


ELEMENTS = (
    row(
        "Forwarded changes nothing by default",
        FORWARDED,
        environ("Forwarded: for=203.0.113.7;proto=https;host=evil"),
        served(REMOTE_ADDR="127.0.0.1", scheme="http", HTTP_HOST="a"),
    ),
    forwarded(
        "Forwarded tells client, scheme and host",
        "for=203.0.113.7;proto=https;host=site.example;by=10.0.0.1",
        served(REMOTE_ADDR="203.0.113.7", scheme="https", HTTP_HOST="site.example", SERVER_PORT="443"),
    ),
    forwarded(
        "Forwarded's names are found in any case",
        "FOR=203.0.113.7;Proto=HTTPS",
        served(REMOTE_ADDR="203.0.113.7", scheme="https"),
    ),
    forwarded(
        "Forwarded's client may have a port",
        'for="203.0.113.7:4711"',
        served(REMOTE_ADDR="203.0.113.7", REMOTE_PORT="4711"),
    ),
    forwarded(
        "Forwarded's client may be an IPv6 address",
        'for="[2001:db8::7]:4711"',
        served(REMOTE_ADDR="2001:db8::7", REMOTE_PORT="4711"),
    ),
    forwarded(
        "Forwarded's last client that is no proxy counts",
        "for=198.51.100.1, for=203.0.113.7, for=10.1.2.3",
        served(REMOTE_ADDR="203.0.113.7"),
    ),
    forwarded(
        "Forwarded's last element tells scheme and host",
        "proto=http;host=evil.example, proto=https;host=site.example",
        served(scheme="https", HTTP_HOST="site.example"),
    ),
    forwarded(
        "Forwarded is read over several fields",
        "for=203.0.113.7",
        served(REMOTE_ADDR="203.0.113.7"),
        "Forwarded: for=10.1.2.3",
    ),
    forwarded("Forwarded's client may be unknown", "for=unknown", served(REMOTE_ADDR="127.0.0.1")),
    forwarded("Forwarded's client may be hidden", "for=_secret", served(REMOTE_ADDR="127.0.0.1")),
    forwarded(
        "Forwarded may have pairs that nobody knows", "for=203.0.113.7;secret=x", served(REMOTE_ADDR="203.0.113.7")
    ),
    forwarded("Forwarded may have empty elements", ", for=203.0.113.7,", served(REMOTE_ADDR="203.0.113.7")),
    forwarded(
        "a quote in Forwarded holds commas together",
        'for=203.0.113.7;x="a, for=1.1.1.1"',
        served(REMOTE_ADDR="203.0.113.7"),
    ),
    forwarded("an empty Forwarded is refused", "", 400),
    forwarded("a Forwarded without pairs is refused", "203.0.113.7", 400),
    forwarded("an unfinished quote in Forwarded is refused", 'for="203.0.113.7', 400),
    forwarded("an unquoted IPv6 address in Forwarded is refused", "for=[2001:db8::7]", 400),
    forwarded("a Forwarded client that is no address is refused", "for=nobody", 400),
    forwarded("a name twice in Forwarded's element is refused", "for=203.0.113.7;for=198.51.100.1", 400),
    forwarded("a Forwarded host that is none is refused", 'host="a/b"', 400),
    forwarded("a Forwarded scheme that is none of ours is refused", "proto=gopher", 400),
    forwarded("a space around Forwarded's equals sign is refused", "for = 203.0.113.7", 400),
    forwarded("Forwarded must agree with X-Forwarded-For", "for=203.0.113.7", 400, "X-Forwarded-For: 198.51.100.1"),
    forwarded(
        "Forwarded may agree with X-Forwarded-For",
        "for=203.0.113.7",
        served(REMOTE_ADDR="203.0.113.7"),
        "X-Forwarded-For: 203.0.113.7",
    ),
    forwarded("Forwarded must agree with X-Forwarded-Proto", "proto=https", 400, "X-Forwarded-Proto: http"),
    forwarded("Forwarded must agree with X-Forwarded-Host", "host=a.example", 400, "X-Forwarded-Host: b.example"),
    told(
        "Forwarded of a stranger is a field like others",
        "Forwarded: for=203.0.113.7;;=",
        expected=served(REMOTE_ADDR="127.0.0.1"),
        source=FORWARDED,
        settings=STRANGER,
    ),
)

ROWS = (*CLIENTS, *PLACES, *ELEMENTS)
