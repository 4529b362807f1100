"""What an attack is: bytes that one client sends, which hide a request in what looks like the body, or the head, of
another."""

from collections.abc import Callable
from dataclasses import dataclass

#: What Tapster does with an attack that comes without a proxy. The attacker's request is refused, and what follows it
#: is not read.
REFUSED = "refused"
#: The attacker's request may be served; the hidden one is a part of it, or follows the end of the connection.
BODY = "body"
#: The sequence is plain: two requests one after the other, and each may be served.
PIPELINED = "pipelined"


@dataclass(frozen=True)
class Attack:
    """A row of the table.

    `parts` makes, of the hidden request's bytes, what the attacker sends: pieces, after each of which he waits for
    the answer a moment.
    """

    name: str
    parts: Callable[[bytes], list[bytes]]
    direct: str = REFUSED


def head(*fields, line="POST /attacker HTTP/1.1", host="Host: front.example"):
    """A head whose lines end as they should, however odd the lines are."""
    lines = [line, *([host] if host else []), *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def row(name, direct, *fields, body=lambda hidden: hidden, line="POST /attacker HTTP/1.1", host="Host: front.example"):
    """An attack of one piece: a head whose fields may ask for the body's length by `{n}`, then the body that is made of
    the hidden request."""

    def parts(hidden):
        data = body(hidden)
        return [head(*(field.replace("{n}", str(len(data))) for field in fields), line=line, host=host) + data]

    return Attack(name, parts, direct)


def raw(name, direct, text):
    """An attack of one piece, given as text in which `{hidden}` stands for the hidden request."""
    before, _, after = text.partition("{hidden}")
    return Attack(name, lambda hidden: [before.encode("latin-1") + hidden + after.encode("latin-1")], direct)
