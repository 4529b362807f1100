"""What a row of the table is, and the words that rows are written in."""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Reply:
    """One reply as it must be. What is None, or not named in a mapping, may be anything."""

    status: int = 200
    body: bytes | None = None
    #: A part of the environ that the application saw and showed in the body. None as a value: the key is not there.
    environ: dict = field(default_factory=dict)
    #: Some of the reply's own fields, by lower-case name, and its version as ":version". None as a value, as above.
    fields: dict = field(default_factory=dict)
    #: The reply breaks off instead of ending.
    cut: bool = False
    #: What was asked with, since replies to HEAD have no body.
    method: str = "GET"


@dataclass(frozen=True)
class Expected:
    """All that must come of a row."""

    replies: tuple = ()
    #: Whether the connection then serves another request, or is closed by the server.
    stays: bool = False
    #: Nothing comes at all while the client waits: the server wants more bytes, which a client has no reason to send.
    hangs: bool = False
    #: The end is a reset, which is how a broken reply without a length shows. What of the reply is seen is chance.
    resets: bool = False
    #: It closes without having said so: the client has, or nothing more came.
    unannounced: bool = False
    #: The interim replies that must come; None where they depend on timing.
    interim: tuple | None = None
    #: What comes can't be read as a reply.
    unreadable: bool = False
    #: How the documents call it, where what is derived from the rest would not be clear.
    words: str = ""


@dataclass(frozen=True)
class Instead:
    """What another server does, and why Tapster does not."""

    expected: Expected
    why: str


@dataclass(frozen=True)
class Row:
    """One rule: bytes on a connection of their own, and what must come of them."""

    rule: str
    source: str
    sent: bytes
    expected: Expected
    settings: dict = field(default_factory=dict)
    gunicorn: Instead | None = None
    #: Sent when an interim reply has come.
    then: bytes = b""
    #: Sent behind the bytes a byte at a time, with a pause before each.
    drip: bytes = b""
    #: The client ends its direction behind the bytes.
    half_close: bool = False


def row(rule, source, sent, expected, gunicorn=None, *, then=b"", drip=b"", half_close=False, **settings):
    """A row. A number as the expected outcome is a refusal with that status."""
    expected = refused(expected) if isinstance(expected, int) else expected
    return Row(rule, source, octets(sent), expected, settings, gunicorn, octets(then), octets(drip), half_close)


def request(*fields, method="GET", target="/", version="HTTP/1.1", host="a", body=b""):
    """A request's bytes. A Host comes first unless `host` is None; no length is added for a body."""
    lines = [f"{method} {target} {version}", *([f"Host: {host}"] if host is not None else []), *fields, "", ""]
    return octets("\r\n".join(lines)) + octets(body)


def post(*fields, body=b"", **line):
    """A request whose body the application echoes."""
    return request(*fields, body=body, **{"method": "POST", "target": "/input?echo", **line})


def environ(*fields, **line):
    """A request whose environ the application shows."""
    return request(*fields, **{"target": "/environ", **line})


def octets(text):
    """Bytes as they are, and text as latin-1."""
    return text.encode("latin-1") if isinstance(text, str) else text


def reply(status=200, body=None, *, cut=False, method="GET", fields=None, **environ):
    """One reply among several; further arguments are what the application must have seen in its environ."""
    body = None if body is None else octets(body)
    seen = {"wsgi.url_scheme" if key == "scheme" else key: value for key, value in environ.items()}
    return Reply(status, body, seen, fields or {}, cut, method)


def served(body=None, *, closes=False, unannounced=False, interim=None, fields=None, **environ):
    """One 200, after which the connection stays."""
    stays = not (closes or unannounced)
    return Expected((reply(200, body, fields=fields, **environ),), stays, unannounced=unannounced, interim=interim)


def answered(status, body=None, *, closes=False, interim=None, **line):
    """One reply, whoever made it, after which the connection stays."""
    return Expected((reply(status, body, **line),), stays=not closes, interim=interim)


def refused(status, body=None, **fields):
    """A refusal by the server itself, after which it closes; it never asks for more with a 100."""
    fields = {key.replace("_", "-"): value for key, value in fields.items()}
    return Expected((reply(status, body, fields=fields),), interim=())


def broken(status=200, body=None, **line):
    """A reply that breaks off."""
    return Expected((reply(status, body, cut=True, **line),))


def replies(*each, closes=False, unannounced=False):
    """Several replies in order; a number is a plain reply with that status."""
    whole = tuple(reply(one) if isinstance(one, int) else one for one in each)
    return Expected(whole, stays=not (closes or unannounced), unannounced=unannounced)


def instead(expected, why, *, words=""):
    """What gunicorn does where it does otherwise, and why Tapster does not."""
    expected = refused(expected) if isinstance(expected, int) else expected
    return Instead(replace(expected, words=words) if words else expected, why)


HELLO = reply(200, "hello")
RESETS = Expected(resets=True, words="the connection is reset")
#: The server closes without a word.
SILENCE = Expected(words="closes without a reply")
UNREADABLE = Expected(unreadable=True, words="200 in the version that was asked for")
#: The server waits for bytes that don't come.
HANGS = Expected(hangs=True, words="waits for more")
