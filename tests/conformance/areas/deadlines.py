"""Deadlines that a client can miss: each ends in 408 where an answer is still possible."""

from ..rows import HELLO, answered, post, refused, replies, request, row, served

HEAD = "client_header_timeout"
BODY = "client_body_timeout"
TOTAL = "client_body_total_timeout"
RATE = "client_body_min_rate"
TOO_SLOW = refused(408, "408 Request Timeout\n\nThe request's body arrived too slowly.\n")
SHORT_HEAD = {"client_header_timeout": "1s"}
SHORT_BODY = {"client_body_timeout": "300ms", "client_body_min_rate": 0}

ROWS = (
    row("half a request line is answered when its time is over", HEAD, "GET / HT", 408, **SHORT_HEAD),
    row("half a head is answered when its time is over", HEAD, request()[:-2], 408, **SHORT_HEAD),
    row("an empty line alone is answered when its time is over", HEAD, "\r\n", 408, **SHORT_HEAD),
    row(
        "half a body is answered when nothing more comes",
        BODY,
        post("Content-Length: 9", body="abc"),
        408,
        **SHORT_BODY,
    ),
    row("a body that never begins is answered", BODY, post("Content-Length: 9"), 408, **SHORT_BODY),
    row(
        "half a chunk is answered when nothing more comes",
        BODY,
        post("Transfer-Encoding: chunked", body="9\r\nabc"),
        408,
        **SHORT_BODY,
    ),
    row(
        "a chunked body without its end is answered when nothing more comes",
        BODY,
        post("Transfer-Encoding: chunked", body="3\r\nabc\r\n0\r\n"),
        408,
        **SHORT_BODY,
    ),
    row(
        "a body that was asked for and never comes is answered",
        BODY,
        post("Content-Length: 9", "Expect: 100-continue"),
        answered(408, closes=True, interim=(100,)),
        then="abc",
        **SHORT_BODY,
    ),
    row(
        "half a head behind a request is answered when its time is over",
        HEAD,
        request() + request()[:-2],
        replies(HELLO, 408, closes=True),
        **SHORT_HEAD,
    ),
    row(
        "a body is answered when its whole time is over",
        TOTAL,
        post("Content-Length: 9", body="abc"),
        408,
        client_body_total_timeout="300ms",
    ),
    row(
        "a head that drips is answered when its time is over, though it never rests",
        HEAD,
        "GET / HTTP/1.1\r\nX: ",
        408,
        drip="y" * 100,
        **SHORT_HEAD,
    ),
    row(
        "a body that drips is answered when its whole time is over",
        TOTAL,
        post("Content-Length: 200"),
        408,
        drip="y" * 100,
        client_body_total_timeout="300ms",
    ),
    row(
        "a body that drips is answered when it is too slow",
        RATE,
        post("Content-Length: 200"),
        TOO_SLOW,
        drip="y" * 100,
        client_body_timeout="1s",
        client_body_min_rate=1000,
    ),
    row(
        "chunks that drip are answered when they are too slow",
        RATE,
        post("Transfer-Encoding: chunked"),
        TOO_SLOW,
        drip="1\r\ny\r\n" * 20,
        client_body_timeout="1s",
        client_body_min_rate=1000,
    ),
    row(
        "a body that drips fast enough is served",
        RATE,
        post("Content-Length: 30"),
        served("y" * 30),
        drip="y" * 30,
        client_body_timeout="1s",
        client_body_min_rate=1,
    ),
)
