"""The PROXY protocol's header in both versions (HAProxy's proxy-protocol.txt)."""

import socket
import struct

from ..rows import HANGS, HELLO, SILENCE, environ, instead, octets, replies, reply, request, row, served

TEXT = "PROXY protocol §2.1"
BINARY = "PROXY protocol §2.2"
PEERS = "proxy_allow_ips"
V1 = {"proxy_protocol": "v1"}
V2 = {"proxy_protocol": "v2"}
AUTO = {"proxy_protocol": "auto"}
STRANGER = {"proxy_protocol": "auto", "proxy_allow_ips": "10.0.0.1"}
TCP4 = "PROXY TCP4 203.0.113.7 198.51.100.1 4711 80"
TCP6 = "PROXY TCP6 2001:db8::7 2001:db8::1 4711 80"
CLIENT4 = {
    "REMOTE_ADDR": "203.0.113.7",
    "REMOTE_PORT": "4711",
    "PROXY_PROTOCOL": "TCP4",
    "PROXY_ADDR": "198.51.100.1",
    "PROXY_PORT": "80",
}
CLIENT6 = {
    "REMOTE_ADDR": "2001:db8::7",
    "REMOTE_PORT": "4711",
    "PROXY_PROTOCOL": "TCP6",
    "PROXY_ADDR": "2001:db8::1",
    "PROXY_PORT": "80",
}
NOBODY = {"REMOTE_ADDR": "127.0.0.1", "PROXY_ADDR": None, "PROXY_PORT": None}
GUESSED = "The protocol forbids to guess: a client that reaches the port could write a header of its own."
UNCHECKED = instead(served(**CLIENT4), "A header that is damaged is not to be trusted in any part.")
EXACT = instead(served(), "A port has one way to be written.")
FIRST_ONLY = "gunicorn forgets the header with the first request, and names the proxy as the client of all others."
FALLS_OVER = instead(500, "It is the peer's mistake, not the server's.")
NO_NONE = instead(
    served(REMOTE_ADDR=["NoneType", "None"]),
    "PEP 3333 wants text in the environ, and the connection's own address is the true one.",
)
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
INET, INET6, UNIX = 0x11, 0x21, 0x31


def text(line, behind=None):
    """A header of version 1 and a request whose environ is shown."""
    return octets(f"{line}\r\n") + (environ() if behind is None else behind)


def addresses(family=socket.AF_INET, source="203.0.113.7", destination="198.51.100.1"):
    """Both addresses and ports of version 2."""
    return socket.inet_pton(family, source) + socket.inet_pton(family, destination) + struct.pack(">HH", 4711, 80)


def binary(family=INET, data=None, command=0x21, length=None, behind=None):
    """A header of version 2 and a request whose environ is shown."""
    data = addresses() if data is None else data
    head = SIGNATURE + struct.pack(">BBH", command, family, len(data) if length is None else length)
    return head + data + (environ() if behind is None else behind)


ADDRESSES6 = addresses(socket.AF_INET6, "2001:db8::7", "2001:db8::1")


def vector(kind, value, length=None):
    """A vector of type, length and value."""
    return struct.pack(">BH", kind, len(value) if length is None else length) + value


def crc32c(data):
    """The checksum of RFC 9260."""
    total = 0xFFFFFFFF
    for byte in data:
        total ^= byte
        for _ in range(8):
            total = total >> 1 ^ (0x82F63B78 if total & 1 else 0)
    return total ^ 0xFFFFFFFF


def summed(change=0):
    """A header of version 2 with a checksum, which may be wrong."""
    whole = binary(data=addresses() + vector(3, bytes(4)), behind=b"")
    return whole[:-4] + struct.pack(">I", crc32c(whole) ^ change) + environ()


TEXTS = (
    row("version 1 tells an IPv4 client", TEXT, text(TCP4), served(**CLIENT4), **V1),
    row("version 1 tells an IPv6 client", TEXT, text(TCP6), served(**CLIENT6), **V1),
    row(
        "version 1 holds for all requests of its connection",
        TEXT,
        text(TCP4, environ() + environ()),
        replies(reply(**CLIENT4), reply(**CLIENT4)),
        **V1,
        gunicorn=instead(replies(reply(**CLIENT4), reply(REMOTE_ADDR="127.0.0.1", PROXY_PROTOCOL=None)), FIRST_ONLY),
    ),
    row("version 1 comes once a connection", TEXT, text(TCP4, text(TCP4)), 400, **V1),
    row(
        "version 1 comes before the first request only",
        TEXT,
        text(TCP4, request() + text(TCP4)),
        replies(HELLO, 400, closes=True),
        **V1,
    ),
    row(
        "UNKNOWN leaves the proxy's address",
        TEXT,
        text("PROXY UNKNOWN"),
        served(PROXY_PROTOCOL="UNKNOWN", **NOBODY),
        **V1,
        gunicorn=instead(400, "The protocol demands that UNKNOWN be taken."),
    ),
    row(
        "what follows UNKNOWN is ignored",
        TEXT,
        text("PROXY UNKNOWN a b c d"),
        served(PROXY_PROTOCOL="UNKNOWN", **NOBODY),
        **V1,
        gunicorn=instead(400, "The protocol demands that UNKNOWN be taken."),
    ),
    row(
        "a connection without a header is refused",
        TEXT,
        environ(),
        400,
        **V1,
        gunicorn=instead(served(REMOTE_ADDR="127.0.0.1"), GUESSED),
    ),
    row("version 2 is refused where version 1 is set", TEXT, binary(), 400, **V1),
    row("PROXY in lower case is refused", TEXT, text(TCP4.replace("PROXY", "proxy")), 400, **V1),
    row(
        "a protocol that is none of TCP4, TCP6 and UNKNOWN is refused",
        TEXT,
        text(TCP4.replace("TCP4", "UDP4")),
        400,
        **V1,
    ),
    row("an address of another family is refused", TEXT, text(TCP4.replace("TCP4", "TCP6")), 400, **V1),
    row("an IPv6 address as TCP4 is refused", TEXT, text(TCP6.replace("TCP6", "TCP4")), 400, **V1),
    row("an address that is none is refused", TEXT, text("PROXY TCP4 203.0.113.256 198.51.100.1 4711 80"), 400, **V1),
    row(
        "an address with zeros in front is refused",
        TEXT,
        text("PROXY TCP4 203.0.113.007 198.51.100.1 4711 80"),
        400,
        **V1,
    ),
    row("a short address is refused", TEXT, text("PROXY TCP4 203.7 198.51.100.1 4711 80"), 400, **V1),
    row("a missing word is refused", TEXT, text("PROXY TCP4 203.0.113.7 198.51.100.1 4711"), 400, **V1),
    row("a word too many is refused", TEXT, text(f"{TCP4} x"), 400, **V1),
    row("two spaces are refused", TEXT, text(TCP4.replace(" 4711", "  4711")), 400, **V1),
    row("a space at the line's end is refused", TEXT, text(f"{TCP4} "), 400, **V1),
    row("a port over 65535 is refused", TEXT, text(TCP4.replace("4711", "65536")), 400, **V1),
    row("a negative port is refused", TEXT, text(TCP4.replace("4711", "-1")), 400, **V1),
    row("a port with a plus is refused", TEXT, text(TCP4.replace("4711", "+4711")), 400, **V1, gunicorn=EXACT),
    row("a port with zeros in front is refused", TEXT, text(TCP4.replace("4711", "04711")), 400, **V1, gunicorn=EXACT),
    row("a port that is no number is refused", TEXT, text(TCP4.replace("4711", "http")), 400, **V1),
    row("a bare LF behind the header is refused", TEXT, octets(f"{TCP4}\n") + environ(), 400, **V1),
    row("a header of more than 107 bytes is refused", TEXT, text("PROXY UNKNOWN " + "x" * 100), 400, **V1),
    row(
        "a header of 107 bytes is taken",
        TEXT,
        text("PROXY UNKNOWN " + "x" * 91),
        served(**NOBODY),
        **V1,
        gunicorn=instead(400, "The protocol demands that UNKNOWN be taken."),
    ),
    row(
        "a header without an end is refused at its limit",
        TEXT,
        octets("PROXY UNKNOWN " + "x" * 100),
        400,
        **V1,
        gunicorn=instead(HANGS, "A header has at most 107 bytes."),
    ),
    row(
        "a client that half-closes within a header is not answered", TEXT, octets(TCP4), SILENCE, half_close=True, **V1
    ),
    row("PROXY without proxy_protocol is no request", TEXT, text(TCP4), 400),
)

BINARIES = (
    row("version 2 tells an IPv4 client", BINARY, binary(), served(**CLIENT4), **V2),
    row("version 2 tells an IPv6 client", BINARY, binary(INET6, ADDRESSES6), served(**CLIENT6), **V2),
    row(
        "version 2 holds for all requests of its connection",
        BINARY,
        binary(behind=environ() + environ()),
        replies(reply(**CLIENT4), reply(**CLIENT4)),
        **V2,
        gunicorn=instead(replies(reply(**CLIENT4), reply(REMOTE_ADDR="127.0.0.1", PROXY_PROTOCOL=None)), FIRST_ONLY),
    ),
    row(
        "LOCAL leaves the proxy's address",
        BINARY,
        binary(0, b"", 0x20),
        served(PROXY_PROTOCOL="LOCAL", **NOBODY),
        **V2,
        gunicorn=NO_NONE,
    ),
    row(
        "LOCAL's addresses are ignored",
        BINARY,
        binary(command=0x20),
        served(PROXY_PROTOCOL="LOCAL", **NOBODY),
        **V2,
        gunicorn=NO_NONE,
    ),
    row(
        "an unspecified family leaves the proxy's address",
        BINARY,
        binary(0, b""),
        served(PROXY_PROTOCOL="UNSPEC", **NOBODY),
        **V2,
        gunicorn=instead(500, "The protocol wants it to be taken as if there were no header."),
    ),
    row(
        "Unix addresses leave the proxy's address",
        BINARY,
        binary(UNIX, bytes(216)),
        served(PROXY_PROTOCOL="UNSPEC", **NOBODY),
        **V2,
        gunicorn=instead(500, "The protocol wants it to be taken as if there were no header."),
    ),
    row(
        "vectors behind the addresses are ignored",
        BINARY,
        binary(data=addresses() + vector(2, b"site.example") + vector(4, b"")),
        served(**CLIENT4),
        **V2,
    ),
    row("a right checksum is taken", "PROXY protocol §2.2.3", summed(), served(**CLIENT4), **V2),
    row("a wrong checksum is refused", "PROXY protocol §2.2.3", summed(1), 400, **V2, gunicorn=UNCHECKED),
    row(
        "a vector longer than the header is refused",
        BINARY,
        binary(data=addresses() + vector(2, b"a", 99)),
        400,
        **V2,
        gunicorn=UNCHECKED,
    ),
    row("half a vector is refused", BINARY, binary(data=addresses() + b"\2\0"), 400, **V2, gunicorn=UNCHECKED),
    row(
        "a connection without a header of version 2 is refused",
        BINARY,
        environ(),
        400,
        **V2,
        gunicorn=instead(served(REMOTE_ADDR="127.0.0.1"), GUESSED),
    ),
    row("version 1 is refused where version 2 is set", BINARY, text(TCP4), 400, **V2),
    row(
        "an empty line is no header of version 2",
        BINARY,
        b"\r\n" + environ(),
        400,
        **V2,
        gunicorn=instead(served(REMOTE_ADDR="127.0.0.1"), GUESSED),
    ),
    row("version 1 in binary is refused", BINARY, binary(command=0x11), 400, **V2, gunicorn=FALLS_OVER),
    row("version 3 is refused", BINARY, binary(command=0x31), 400, **V2, gunicorn=FALLS_OVER),
    row("another command is refused", BINARY, binary(command=0x22), 400, **V2, gunicorn=FALLS_OVER),
    row("another family is refused", BINARY, binary(0x41), 400, **V2, gunicorn=FALLS_OVER),
    row("datagrams are refused", BINARY, binary(0x12), 400, **V2, gunicorn=FALLS_OVER),
    row("another transport is refused", BINARY, binary(0x13), 400, **V2, gunicorn=FALLS_OVER),
    row("a length too short for the addresses is refused", BINARY, binary(length=11), 400, **V2, gunicorn=FALLS_OVER),
    row(
        "a length too short for IPv6 addresses is refused",
        BINARY,
        binary(INET6, addresses()),
        400,
        **V2,
        gunicorn=FALLS_OVER,
    ),
    row(
        "a header of more than 4096 bytes is refused",
        BINARY,
        binary(length=4081, behind=b""),
        400,
        **V2,
        gunicorn=instead(HANGS, "Nobody needs one that long, and a peer could fill memory with it."),
    ),
    row(
        "a header of 4096 bytes is taken",
        BINARY,
        binary(data=addresses() + vector(4, bytes(4080 - 15))),
        served(**CLIENT4),
        **V2,
    ),
)

PEERED = (
    row("auto takes version 1", TEXT, text(TCP4), served(**CLIENT4), **AUTO),
    row("auto takes version 2", BINARY, binary(), served(**CLIENT4), **AUTO),
    row(
        "auto refuses a connection without a header",
        BINARY,
        environ(),
        400,
        **AUTO,
        gunicorn=instead(served(REMOTE_ADDR="127.0.0.1"), GUESSED),
    ),
    row("a stranger's version 1 is forbidden", PEERS, text(TCP4), 403, **STRANGER),
    row("a stranger's version 2 is forbidden", PEERS, binary(), 403, **STRANGER),
    row(
        "a stranger without a header is forbidden too",
        PEERS,
        environ(),
        403,
        **STRANGER,
        gunicorn=instead(served(REMOTE_ADDR="127.0.0.1"), GUESSED),
    ),
    row(
        "proxy_allow_ips may be a network",
        PEERS,
        text(TCP4),
        served(**CLIENT4),
        proxy_protocol="v1",
        proxy_allow_ips="127.0.0.0/8",
    ),
    row(
        "proxy_allow_ips = * lets everybody",
        PEERS,
        text(TCP4),
        served(**CLIENT4),
        proxy_protocol="v1",
        proxy_allow_ips="*",
    ),
    row(
        "whoever connects through a Unix socket may send a header",
        PEERS,
        text(TCP4),
        served(**CLIENT4),
        proxy_protocol="v1",
        proxy_allow_ips="10.0.0.1",
        bind="unix:server.sock",
    ),
    row(
        "whose fields are believed is the proxy that connects, not a header's client",
        "forwarded_allow_ips",
        text(TCP4, environ("X-Forwarded-Proto: https")),
        served(scheme="https", REMOTE_ADDR="203.0.113.7"),
        **V1,
    ),
    row(
        "X-Forwarded-For knows the client better than a header",
        "X-Forwarded-For",
        text(TCP4, environ("X-Forwarded-For: 192.0.2.9")),
        served(REMOTE_ADDR="192.0.2.9"),
        proxy_protocol="v1",
        trusted_proxy_headers=["x-forwarded-for"],
    ),
)

ROWS = (*TEXTS, *BINARIES, *PEERED)
