"""Attacks on where a head's lines end, what its first line says, and whom it is for."""

from .attack import BODY, PIPELINED, REFUSED, raw, row

#: Lines that end oddly. In each the hidden request stands behind what some take for a head's end.
_LINES = [
    raw("head-bare-lf", REFUSED, "GET /attacker HTTP/1.1\nHost: front.example\n\n{hidden}"),
    raw("head-bare-lf-end", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\n\n{hidden}"),
    raw("head-bare-lf-first-line", REFUSED, "GET /attacker HTTP/1.1\nHost: front.example\r\n\r\n{hidden}"),
    raw("head-lf-crlf", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\n\r\n{hidden}"),
    raw("head-crlf-lf", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\r\n\n{hidden}"),
    raw("head-bare-cr", REFUSED, "GET /attacker HTTP/1.1\rHost: front.example\r\r{hidden}"),
    raw("head-bare-cr-end", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\r\r{hidden}"),
    raw("head-crlf-cr", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\r\n\r{hidden}"),
    raw("head-cr-cr-lf", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\r\r\n\r\r\n{hidden}"),
    raw("head-lf-in-value", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\r\nX-Other: a\n\n{hidden}"),
    raw("head-cr-in-value", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\r\nX-Other: a\r\r{hidden}"),
    raw("head-space-line", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\r\n \r\n{hidden}"),
    raw("head-no-colon", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\r\n{hidden}"),
    raw("head-folded", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\r\nX-Other: a\r\n {hidden}"),
    raw("head-folded-first", REFUSED, "GET /attacker HTTP/1.1\r\n Host: front.example\r\n\r\n{hidden}"),
    raw("head-nul-end", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\0\r\n\r\n{hidden}"),
    raw("head-nul-in-name", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\r\nX\0Y: a\r\n\r\n{hidden}"),
    raw("head-next-line-character", PIPELINED, "GET /attacker HTTP/1.1\r\nHost: a\r\nX: \x85\x85\r\n\r\n{hidden}"),
    raw("head-empty-name", REFUSED, "GET /attacker HTTP/1.1\r\nHost: front.example\r\n: a\r\n\r\n{hidden}"),
    raw("head-empty-lines-before", PIPELINED, "\r\n\r\nGET /attacker HTTP/1.1\r\nHost: front.example\r\n\r\n{hidden}"),
    raw("head-lf-before", REFUSED, "\n\nGET /attacker HTTP/1.1\r\nHost: front.example\r\n\r\n{hidden}"),
    raw("head-byte-order-mark", REFUSED, "\xef\xbb\xbfGET /attacker HTTP/1.1\r\nHost: a\r\n\r\n{hidden}"),
    raw("head-proxy-line", REFUSED, "PROXY TCP4 8.8.8.8 8.8.4.4 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n{hidden}"),
]

#: First lines. `POST ... HTTP/1.1` is what they should be.
_FIRST_LINES = {
    "two-spaces": "POST  /attacker HTTP/1.1",
    "two-spaces-before-version": "POST /attacker  HTTP/1.1",
    "space-before": " POST /attacker HTTP/1.1",
    "space-after": "POST /attacker HTTP/1.1 ",
    "tabs": "POST\t/attacker\tHTTP/1.1",
    "vertical-tab": "POST\x0b/attacker\x0bHTTP/1.1",
    "space-in-target": "POST /attacker more HTTP/1.1",
    "two-versions": "POST /attacker HTTP/1.1 HTTP/1.1",
    "no-version": "POST /attacker",
    "no-target": "POST HTTP/1.1",
    "version-with-space": "POST /attacker HTTP/ 1.1",
    "version-of-one-digit": "POST /attacker HTTP/1",
    "version-of-three-digits": "POST /attacker HTTP/1.10",
    "version-in-small": "POST /attacker http/1.1",
    "version-of-other": "POST /attacker ICAP/1.1",
    "method-with-colon": "PO:ST /attacker HTTP/1.1",
    "nul-in-target": "POST /attacker\0 HTTP/1.1",
    "cr-in-target": "POST /attacker\rHTTP/1.1",
    "letters-beyond-ascii": "POST /attack\xe9r HTTP/1.1",
    "del-in-target": "POST /attacker\x7f HTTP/1.1",
    "fragment": "POST /attacker#/other HTTP/1.1",
    "quote-and-less-than": 'POST /attacker"< HTTP/1.1',
    "no-slash": "POST attacker HTTP/1.1",
    "asterisk": "POST * HTTP/1.1",
    "asterisk-of-options": "OPTIONS * HTTP/1.1",
    "authority": "POST front.example:80 HTTP/1.1",
    "connect": "CONNECT front.example:80 HTTP/1.1",
    "http-2-preface": "PRI * HTTP/2.0",
    "other-host": "POST http://other.example/attacker HTTP/1.1",
    "other-port": "POST http://front.example:81/attacker HTTP/1.1",
    "user-in-authority": "POST http://front.example@other.example/attacker HTTP/1.1",
    "empty-authority": "POST http:///attacker HTTP/1.1",
    "other-scheme": "POST https://front.example/attacker HTTP/1.1",
    "two-slashes": "POST //other.example/attacker HTTP/1.1",
    "crlf-by-percent": "POST /attacker%20HTTP/1.1%0d%0aHost:%20a%0d%0a%0d%0aGET%20/smuggled HTTP/1.1",
    "dots": "POST /attacker/..%2f..%2fother/../ HTTP/1.1",
    "long": f"POST /attacker?{'a' * 9000} HTTP/1.1",
}
#: Those whose body may be served, and those about which it is enough that the hidden request is not.
_SERVED = {"crlf-by-percent", "dots", "two-slashes", "letters-beyond-ascii", "quote-and-less-than", "fragment"} | {
    name for name in _FIRST_LINES if name.startswith(("other-", "user-", "empty-authority", "asterisk-of"))
}

#: Whom a request is for.
_HOSTS = [
    ("twice", REFUSED, "Host: front.example", "Host: other.example"),
    ("twice-the-same", REFUSED, "Host: front.example", "Host: front.example"),
    ("missing", REFUSED),
    ("empty", BODY, "Host:"),
    ("list", REFUSED, "Host: front.example, other.example"),
    ("space-before-colon", REFUSED, "Host : front.example"),
    ("folded", REFUSED, "Host: front.example", " other.example"),
    ("with-path", REFUSED, "Host: front.example/other"),
    ("with-user", REFUSED, "Host: front.example@other.example"),
    ("with-space", REFUSED, "Host: front.example other.example"),
    ("with-nul", REFUSED, "Host: front.example\0.other"),
    ("after-bare-cr", REFUSED, "Host: front.example\rHost: other.example"),
]

#: Names that an application reads as another, or that a proxy strips: with a forged id, or the framing.
_NAMES = [
    ("forged-id", BODY, "X-Front-Id: forged"),
    ("forged-id-twice", BODY, "X-Front-Id: forged", "x-front-id: again"),
    ("forged-id-underscore", BODY, "X_Front_Id: forged"),
    ("forged-id-one-underscore", BODY, "X-Front_Id: forged"),
    ("forged-id-space", REFUSED, "X-Front-Id : forged"),
    ("forged-id-after-bare-cr", REFUSED, "X-Other: a\rX-Front-Id: forged"),
    ("forged-id-after-bare-lf", REFUSED, "X-Other: a\nX-Front-Id: forged"),
    ("forged-id-folded", REFUSED, "X-Other: a", " X-Front-Id: forged"),
    ("two-underscores", BODY, "Content_Length: 0", "Transfer_Encoding: chunked"),
    ("names-of-cgi", BODY, "CONTENT-LENGTH: {n}", "HTTP-X-FRONT-ID: forged"),
    ("odd-letters", REFUSED, "X(Other): a"),
    ("slash", REFUSED, "X/Other: a"),
    ("letters-beyond-ascii", REFUSED, "X-\xd6ther: a"),
]

_LENGTH = "Content-Length: {n}"


def _of_names():
    for name, direct, *fields in _NAMES:
        own = any(field.startswith("CONTENT-LENGTH") for field in fields)
        yield row(f"name-{name}", direct, *([] if own else [_LENGTH]), *fields)


ROWS = [
    *_LINES,
    *(
        row(f"line-{name}", BODY if name in _SERVED else REFUSED, _LENGTH, line=line)
        for name, line in _FIRST_LINES.items()
    ),
    *(row(f"host-{name}", direct, *fields, _LENGTH, host=None) for name, direct, *fields in _HOSTS),
    *_of_names(),
]
