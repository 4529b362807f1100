"""The request line: words, methods, versions, line ends and empty lines before it (RFC 9112 sections 2 and 3)."""

from ..rows import UNREADABLE, answered, environ, instead, octets, post, replies, reply, request, row, served

LINE = "RFC 9112 §3"
METHOD = "RFC 9110 §9.1"
VERSION = "RFC 9112 §2.3"
ENDS = "RFC 9112 §2.2"

UNCONVENTIONAL = instead(
    400, "A method is any token, and the application's to know; gunicorn takes 3 to 20 characters without lower case."
)
NO_TUNNEL = "A WSGI application can't serve a tunnel, and a 200 would make one of whatever follows."
OTHER_STATUS = instead(400, "505 is the status that the RFC has for it.")


def line(text):
    """A request of which only the line matters."""
    return octets(f"{text}\r\nHost: a\r\n\r\n")


METHODS = (
    row("GET is served", METHOD, request(), served("hello")),
    row("POST is served", METHOD, post("Content-Length: 3", body="abc"), served("abc")),
    row("HEAD is answered without a body", "RFC 9110 §9.3.2", request(method="HEAD"), answered(200, "", method="HEAD")),
    row(
        "HEAD keeps the body's length",
        "RFC 9110 §9.3.2",
        request(method="HEAD"),
        answered(200, method="HEAD", fields={"content-length": "5"}),
    ),
    row("PUT reaches the application", METHOD, environ(method="PUT"), served(REQUEST_METHOD="PUT")),
    row("DELETE reaches the application", METHOD, environ(method="DELETE"), served(REQUEST_METHOD="DELETE")),
    row(
        "OPTIONS with a path reaches the application",
        METHOD,
        environ(method="OPTIONS"),
        served(REQUEST_METHOD="OPTIONS"),
    ),
    row("TRACE is the application's to refuse", METHOD, environ(method="TRACE"), served(REQUEST_METHOD="TRACE")),
    row("PATCH reaches the application", "RFC 5789", environ(method="PATCH"), served(REQUEST_METHOD="PATCH")),
    row("a method may have a hyphen", METHOD, environ(method="M-SEARCH"), served(REQUEST_METHOD="M-SEARCH")),
    row(
        "an unknown method is the application's to refuse",
        METHOD,
        environ(method="BREW"),
        served(REQUEST_METHOD="BREW"),
    ),
    row(
        "a method's case is kept", METHOD, environ(method="get"), served(REQUEST_METHOD="get"), gunicorn=UNCONVENTIONAL
    ),
    row("a method may be one letter", METHOD, environ(method="X"), served(REQUEST_METHOD="X"), gunicorn=UNCONVENTIONAL),
    row(
        "a method may be long",
        METHOD,
        environ(method="X" * 50),
        served(REQUEST_METHOD="X" * 50),
        gunicorn=UNCONVENTIONAL,
    ),
    row(
        "a method may be any token",
        METHOD,
        environ(method="!#$%&'*+-.^_`|~09"),
        served(REQUEST_METHOD="!#$%&'*+-.^_`|~09"),
        gunicorn=UNCONVENTIONAL,
    ),
    row("a method has no @", METHOD, line("G@T / HTTP/1.1"), 400),
    row("a method has no colon", METHOD, line("GET: / HTTP/1.1"), 400),
    row("a method has no parenthesis", METHOD, line("GET( / HTTP/1.1"), 400),
    row("a method has no quotes", METHOD, line('"GET" / HTTP/1.1'), 400),
    row("a method is ASCII", METHOD, line("G\xc9T / HTTP/1.1"), 400),
    row("a method has no NUL", METHOD, line("GET\0 / HTTP/1.1"), 400),
    row(
        "CONNECT is refused",
        "RFC 9110 §9.3.6",
        octets("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        501,
        gunicorn=instead(served(closes=True), NO_TUNNEL),
    ),
    row(
        "CONNECT with a path is refused",
        "RFC 9112 §3.2.3",
        line("CONNECT / HTTP/1.1"),
        501,
        gunicorn=instead(served(closes=True), NO_TUNNEL),
    ),
    row("TLS on the port is refused", LINE, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
)

WORDS = (
    row("a line of one word is refused", LINE, line("GET"), 400),
    row("a line without a version is refused", LINE, line("GET /"), 400),
    row("two spaces before the target are refused", LINE, line("GET  / HTTP/1.1"), 400),
    row("two spaces before the version are refused", LINE, line("GET /  HTTP/1.1"), 400),
    row("a space before the method is refused", LINE, line(" GET / HTTP/1.1"), 400),
    row("a space behind the version is refused", LINE, line("GET / HTTP/1.1 "), 400),
    row("a word behind the version is refused", LINE, line("GET / HTTP/1.1 x"), 400),
    row("a space within the target is refused", LINE, line("GET /a b HTTP/1.1"), 400),
    row("a tab is no space: behind the method", LINE, line("GET\t/ HTTP/1.1"), 400),
    row("a tab is no space: behind the target", LINE, line("GET /\tHTTP/1.1"), 400),
    row("a vertical tab is no space", LINE, line("GET /\vHTTP/1.1"), 400),
    row("a form feed is no space", LINE, line("GET\f/ HTTP/1.1"), 400),
)

VERSIONS = (
    row("HTTP/1.1 is served", VERSION, environ(), served(SERVER_PROTOCOL="HTTP/1.1")),
    row(
        "HTTP/1.0 is served, and the connection closed",
        VERSION,
        environ(version="HTTP/1.0"),
        served(closes=True, SERVER_PROTOCOL="HTTP/1.0"),
    ),
    row(
        "HTTP/1.2 is not supported",
        VERSION,
        line("GET / HTTP/1.2"),
        505,
        gunicorn=instead(UNREADABLE, "There is no such version, and its reply would claim that this server speaks it."),
    ),
    row(
        "HTTP/1.9 is not supported",
        VERSION,
        line("GET / HTTP/1.9"),
        505,
        gunicorn=instead(UNREADABLE, "There is no such version, and its reply would claim that this server speaks it."),
    ),
    row("HTTP/2.0 is not supported", VERSION, line("GET / HTTP/2.0"), 505, gunicorn=OTHER_STATUS),
    row("HTTP/3.0 is not supported", VERSION, line("GET / HTTP/3.0"), 505, gunicorn=OTHER_STATUS),
    row("HTTP/0.9 with its version is not supported", VERSION, line("GET / HTTP/0.9"), 505, gunicorn=OTHER_STATUS),
    row("HTTP/0.9 without a version is refused", VERSION, "GET /\r\n", 400),
    row(
        "HTTP/2's preface is not supported",
        "RFC 9113 §3.4",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        505,
        gunicorn=OTHER_STATUS,
    ),
    row("a version has two numbers", VERSION, line("GET / HTTP/1"), 400),
    row("a version's second number is there", VERSION, line("GET / HTTP/1."), 400),
    row("a version's second number is one digit", VERSION, line("GET / HTTP/1.10"), 400),
    row("a version's first number is one digit", VERSION, line("GET / HTTP/01.1"), 400),
    row("a version has no third number", VERSION, line("GET / HTTP/1.1.1"), 400),
    row("a version's numbers are digits", VERSION, line("GET / HTTP/x.y"), 400),
    row("a version's name is in upper case", VERSION, line("GET / http/1.1"), 400),
    row("a version's name is HTTP", VERSION, line("GET / HTTPS/1.1"), 400),
    row("a version has no space within", VERSION, line("GET / HTTP/ 1.1"), 400),
    row("another protocol is refused", VERSION, line("GET / ICY/1.1"), 400),
)

LINE_ENDS = (
    row("a bare LF behind the request line is refused", ENDS, "GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    row("a bare LF behind a field is refused", ENDS, "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    row("a bare LF as the empty line is refused", ENDS, "GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    row("two bare LFs at the head's end are refused", ENDS, "GET / HTTP/1.1\r\nHost: a\n\n", 400),
    row("bare LFs all over are refused", ENDS, "GET / HTTP/1.1\nHost: a\n\n", 400),
    row("a bare CR behind the request line is refused", ENDS, "GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    row("a bare CR within the target is refused", ENDS, "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    row("a bare CR behind the method is refused", ENDS, "GET\r / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    row("two CRs behind the request line are refused", ENDS, "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
    row("a bare CR within a value is refused", ENDS, "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
    row("two CRs behind a value are refused", ENDS, "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n", 400),
    row("a bare CR before a name is refused", ENDS, "GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n", 400),
    row("an LF before the request line is refused", ENDS, b"\n" + request(), 400),
    row("a CR before the request line is refused", ENDS, b"\r" + request(), 400),
    row("an empty line before the request line is skipped", ENDS, b"\r\n" + request(), served("hello")),
    row(
        "four empty lines before the request line are skipped",
        ENDS,
        b"\r\n" * 4 + request(),
        served("hello"),
        gunicorn=instead(
            400, "The RFC asks for one at least; a few more that sloppy clients send behind a body do no harm."
        ),
    ),
    row("five empty lines before the request line are refused", ENDS, b"\r\n" * 5 + request(), 400),
    row(
        "an empty line between two requests is skipped",
        ENDS,
        request() + b"\r\n" + request(),
        replies(reply(200, "hello"), reply(200, "hello")),
    ),
    row(
        "an empty line behind a body is skipped",
        ENDS,
        post("Content-Length: 1", body="a") + b"\r\n" + request(),
        replies(reply(200, "a"), reply(200, "hello")),
    ),
)

LIMITS = (
    row(
        "a request line may be as long as its limit",
        "limit_request_line",
        request(target="/" + "x" * (4094 - len("GET / HTTP/1.1"))),
        served(),
    ),
    row(
        "a request line over its limit is refused",
        "limit_request_line",
        request(target="/" + "x" * (4095 - len("GET / HTTP/1.1"))),
        414,
    ),
    row("a request line without an end is refused at its limit", "limit_request_line", "GET /" + "x" * 5000, 414),
    row(
        "a short limit of the request line counts",
        "limit_request_line",
        request(target="/" + "x" * 300),
        414,
        limit_request_line=256,
    ),
    row(
        "a request line within a short limit is served",
        "limit_request_line",
        environ(target="/environ/" + "x" * 200),
        served(),
        limit_request_line=256,
    ),
    row(
        "a larger limit of the request line counts",
        "limit_request_line",
        environ(target="/environ/" + "x" * 7000),
        served(),
        limit_request_line=8000,
    ),
)

ROWS = (*METHODS, *WORDS, *VERSIONS, *LINE_ENDS, *LIMITS)
