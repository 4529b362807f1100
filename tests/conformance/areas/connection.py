"""Connections: who may close them when, pipelining, half-closed clients, Upgrade, Expect (RFC 9112 section 9)."""

from ..rows import HELLO, SILENCE, answered, environ, instead, octets, post, replies, reply, request, row, served

STAYS = "RFC 9112 §9.3"
CLOSES = "RFC 9112 §9.6"
PIPELINED = "RFC 9112 §9.3.2"
PARTIAL = "RFC 9112 §8"
EXPECT = "RFC 9110 §10.1.1"
UPGRADE = "RFC 9110 §7.8"
OLD = "HTTP/1.0"
BAD = octets("BAD\r\n\r\n")

ONE_OPTION = instead(served("hello"), "Connection is a list over all its fields, and close counts wherever it stands.")
NEEDLESS_100 = instead(served(interim=(100,)), "The RFC has 100 Continue sent only for a body that is still to come.")


def old(*fields, target="/"):
    """A request of HTTP/1.0."""
    return request(*fields, version=OLD, host=None, target=target)


def expecting(*values, body="", length=3, version="HTTP/1.1"):
    """A request that expects these things of the server before it sends its body."""
    return post(*(f"Expect: {value}" for value in values), f"Content-Length: {length}", body=body, version=version)


PERSISTENCE = (
    row(
        "1.1 stays",
        STAYS,
        request(),
        served("hello", fields={"connection": None}),
        gunicorn=instead(
            served("hello", fields={"connection": "keep-alive"}), "Staying is 1.1's default, so it need not be said."
        ),
    ),
    row("Connection: keep-alive changes nothing in 1.1", STAYS, request("Connection: keep-alive"), served("hello")),
    row(
        "Connection: close closes",
        CLOSES,
        request("Connection: close"),
        served("hello", closes=True, fields={"connection": "close"}),
    ),
    row("Connection: close is found in any case", CLOSES, request("cOnNeCtIoN: CLOSE"), served("hello", closes=True)),
    row(
        "Connection: close is found in a list",
        CLOSES,
        request("Connection: te ,\tclose , x", "TE: a"),
        served("hello", closes=True),
        gunicorn=ONE_OPTION,
    ),
    row(
        "Connection: close is found in a second field",
        CLOSES,
        request("Connection: te", "Connection: close"),
        served("hello", closes=True),
        gunicorn=ONE_OPTION,
    ),
    row(
        "Connection: close beats keep-alive",
        CLOSES,
        request("Connection: keep-alive, close"),
        served("hello", closes=True),
        gunicorn=ONE_OPTION,
    ),
    row("Connection: closed is no close", STAYS, request("Connection: closed"), served("hello")),
    row("an empty Connection is none", STAYS, request("Connection:"), served("hello")),
    row("a Connection of commas is none", STAYS, request("Connection: ,,"), served("hello")),
    row(
        "fields that Connection names reach the application",
        "RFC 9110 §7.6.1",
        environ("Connection: x", "X: y"),
        served(HTTP_X="y"),
    ),
    row("1.0 closes", STAYS, old(), served("hello", closes=True)),
    row(
        "1.0 with Connection: keep-alive stays",
        STAYS,
        old("Connection: keep-alive"),
        served("hello", fields={"connection": "keep-alive"}),
    ),
    row(
        "1.0 with Connection: Keep-Alive in a list stays",
        STAYS,
        old("Connection: x, Keep-Alive"),
        served("hello"),
        gunicorn=instead(served("hello", closes=True), "Connection is a list."),
    ),
    row(
        "1.0 with keep-alive and close closes",
        STAYS,
        old("Connection: keep-alive", "Connection: close"),
        served("hello", closes=True),
        gunicorn=ONE_OPTION,
    ),
    row(
        "1.0 with Keep-Alive alone closes",
        "RFC 9112 appendix C.2.2",
        old("Keep-Alive: timeout=5"),
        served("hello", closes=True),
    ),
    row(
        "1.0 with Proxy-Connection alone closes",
        "RFC 9112 appendix C.2.2",
        old("Proxy-Connection: keep-alive"),
        served("hello", closes=True),
    ),
    row(
        "1.0 with keep-alive and a reply without a length closes",
        STAYS,
        old("Connection: keep-alive", target="/generator"),
        answered(418, "one,two,three", closes=True, fields={"transfer-encoding": None, "content-length": None}),
    ),
    row(
        "1.0 with keep-alive may bring a body",
        STAYS,
        post("Connection: keep-alive", "Content-Length: 3", body="abc", version=OLD),
        served("abc"),
    ),
    row(
        "bytes behind Connection: close are not served",
        CLOSES,
        request("Connection: close") + request(),
        served("hello", closes=True),
    ),
    row("bytes behind a request of 1.0 are not served", CLOSES, old() + request(), served("hello", closes=True)),
    row("bytes behind a refusal are not served", CLOSES, BAD + request(), 400),
    row(
        "an idle connection is closed after keep_alive",
        "RFC 9112 §9.8",
        request(),
        served("hello", unannounced=True),
        keep_alive=1,
    ),
    row(
        "keep_alive = 0 closes behind each reply",
        "keep_alive",
        request() * 2,
        served("hello", closes=True),
        keep_alive=0,
    ),
    row(
        "a connection that was never used is closed as if it were idle",
        "RFC 9112 §9.8",
        b"",
        SILENCE,
        client_header_timeout="300ms",
    ),
    row(
        "keep_alive_requests bounds a connection",
        "keep_alive_requests",
        request() * 3,
        replies(HELLO, HELLO, closes=True),
        keep_alive_requests=2,
    ),
    row(
        "keep_alive_requests = 1 serves one request",
        "keep_alive_requests",
        request() * 2,
        served("hello", closes=True),
        keep_alive_requests=1,
    ),
)

PIPELINES = (
    row(
        "pipelined requests are answered in order",
        PIPELINED,
        environ(target="/environ/1") + request() + post("Content-Length: 1", body="a") + environ(target="/environ/2"),
        replies(reply(PATH_INFO="/environ/1"), HELLO, reply(200, "a"), reply(PATH_INFO="/environ/2")),
    ),
    row(
        "a refusal waits for the replies before it",
        PIPELINED,
        request() + request() + BAD + request(),
        replies(HELLO, HELLO, 400, closes=True),
    ),
    row(
        "HEAD in a pipeline leaves no body",
        PIPELINED,
        request(method="HEAD") + request(),
        replies(reply(200, "", method="HEAD"), HELLO),
    ),
    row(
        "fields of one request are not those of the next",
        PIPELINED,
        environ("X: y", "Cookie: z") + environ(),
        replies(reply(HTTP_X="y"), reply(HTTP_X=None, HTTP_COOKIE=None)),
    ),
    row(
        "a length of one request is not that of the next",
        PIPELINED,
        post("Content-Length: 3", body="abc") + environ(),
        replies(reply(200, "abc"), reply(CONTENT_LENGTH=None)),
    ),
    row(
        "a request may differ in version from the one before",
        PIPELINED,
        request() + old() + request(),
        replies(HELLO, HELLO, closes=True),
    ),
    row(
        "a pipeline longer than what is held is answered",
        "limit_pipelined",
        request() * 200,
        replies(*[HELLO] * 200),
        limit_pipelined=4096,
    ),
)

HALF_CLOSED = (
    row(
        "a client that half-closes gets its reply",
        PARTIAL,
        request(),
        served("hello", unannounced=True),
        half_close=True,
    ),
    row(
        "a client that half-closes behind a body gets its reply",
        PARTIAL,
        post("Content-Length: 3", body="abc"),
        served("abc", unannounced=True),
        half_close=True,
    ),
    row(
        "a client that half-closes gets all its replies",
        PARTIAL,
        request() * 3,
        replies(HELLO, HELLO, HELLO, unannounced=True),
        half_close=True,
    ),
    row("half a request line is not answered", PARTIAL, "GET / HT", SILENCE, half_close=True),
    row("half a head is not answered", PARTIAL, request()[:-2], SILENCE, half_close=True),
    row(
        "half a body never reaches the application",
        PARTIAL,
        post("Content-Length: 9", body="abc"),
        SILENCE,
        half_close=True,
        gunicorn=instead(
            served("abc", closes=True), "An application that takes half an upload for a whole one stores half a file."
        ),
    ),
    row(
        "half a chunk never reaches the application",
        PARTIAL,
        post("Transfer-Encoding: chunked", body="9\r\nabc"),
        SILENCE,
        half_close=True,
    ),
    row(
        "a chunked body without its last chunk never reaches the application",
        PARTIAL,
        post("Transfer-Encoding: chunked", body="3\r\nabc\r\n"),
        SILENCE,
        half_close=True,
    ),
    row(
        "a chunked body without its last line never reaches the application",
        PARTIAL,
        post("Transfer-Encoding: chunked", body="3\r\nabc\r\n0\r\n"),
        SILENCE,
        half_close=True,
        gunicorn=instead(400, "The client is gone, or has broken off: there is nobody to answer."),
    ),
    row("a connection that brings nothing is not answered", PARTIAL, b"", SILENCE, half_close=True),
)

UPGRADES = (
    row(
        "Upgrade is ignored",
        UPGRADE,
        environ("Connection: upgrade", "Upgrade: websocket"),
        served(HTTP_UPGRADE="websocket"),
    ),
    row(
        "an upgrade to HTTP/2 is ignored",
        UPGRADE,
        request("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
        served("hello"),
    ),
    row(
        "Upgrade in 1.0 is ignored",
        UPGRADE,
        old("Connection: upgrade", "Upgrade: websocket"),
        served("hello", closes=True),
    ),
    row(
        "an upgrade with a body is ignored", UPGRADE, post("Upgrade: x", "Content-Length: 3", body="abc"), served("abc")
    ),
)

EXPECTATIONS = (
    row(
        "Expect: 100-continue is answered before the body is sent",
        EXPECT,
        expecting("100-continue"),
        served("abc", interim=(100,)),
        then="abc",
    ),
    row("Expect is found in any case", EXPECT, expecting("100-CONTINUE"), served("abc", interim=(100,)), then="abc"),
    row(
        "two equal expectations are one",
        EXPECT,
        expecting("100-continue", "100-continue"),
        served("abc", interim=(100,)),
        then="abc",
    ),
    row(
        "Expect goes with chunks too",
        EXPECT,
        post("Expect: 100-continue", "Transfer-Encoding: chunked"),
        served("abc", interim=(100,)),
        then="3\r\nabc\r\n0\r\n\r\n",
    ),
    row("the body may come with the expectation", EXPECT, expecting("100-continue", body="abc"), served("abc")),
    row(
        "bytes behind an expected body are the next request",
        EXPECT,
        expecting("100-continue", body="abc") + request(),
        replies(reply(200, "abc"), HELLO),
    ),
    row(
        "without a body nothing is waited for",
        EXPECT,
        request("Expect: 100-continue"),
        served("hello", interim=()),
        gunicorn=NEEDLESS_100,
    ),
    row(
        "with an empty body nothing is waited for",
        EXPECT,
        expecting("100-continue", length=0),
        served("", interim=()),
        gunicorn=NEEDLESS_100,
    ),
    row(
        "Expect in 1.0 is ignored",
        EXPECT,
        expecting("100-continue", body="abc", version=OLD),
        served("abc", closes=True, interim=()),
    ),
    row("another expectation is refused", EXPECT, expecting("miracles"), 417),
    row("another expectation beside 100-continue is refused", EXPECT, expecting("100-continue, miracles"), 417),
    row("another expectation before 100-continue is refused", EXPECT, expecting("miracles", "100-continue"), 417),
    row("another expectation behind 100-continue is refused", EXPECT, expecting("100-continue", "miracles"), 417),
    row("an empty expectation is refused", EXPECT, expecting(""), 417),
    row("100-continue with a parameter is refused", EXPECT, expecting("100-continue;q=1"), 417),
    row("another expectation in 1.0 is refused", EXPECT, expecting("miracles", version=OLD), 417),
)

ROWS = (*PERSISTENCE, *PIPELINES, *HALF_CLOSED, *UPGRADES, *EXPECTATIONS)
