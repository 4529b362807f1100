"""Replies as a client sees them: framing, the server's own fields, an application's mistakes, error pages."""

from ..rows import (
    HANGS,
    HELLO,
    RESETS,
    answered,
    broken,
    instead,
    octets,
    refused,
    replies,
    reply,
    request,
    row,
    served,
)

PEP = "PEP 3333"
NO_BODY = "RFC 9110 §6.4.1"
LENGTH = "RFC 9110 §8.6"
FRAMING = "RFC 9112 §6"
PAGE = "RFC 9110 §15"
PLAIN = "text/plain; charset=utf-8"
JSON = "application/problem+json"
FAILED = answered(500, closes=True)

NO_LENGTH = instead(
    served(fields={"content-length": None, "transfer-encoding": "chunked"}),
    "All of it is there, so its length is known; many clients show progress by it.",
)
HTML = instead(
    refused(400, content_type="text/html"),
    "A page of text has nothing to escape, and a program reads JSON better than HTML.",
)
HTML_417 = instead(refused(417, content_type="text/html"), HTML.why)
PAGE_TO_HEAD = "A reply to HEAD has no body; a client takes one for the next reply."


def app(path, *fields, **line):
    """A request to one of the application's parts."""
    return request(*fields, target=path, **line)


def old(path, *fields):
    """The same in HTTP/1.0."""
    return request(*fields, target=path, version="HTTP/1.0", host=None)


FRAMED = (
    row("a reply says HTTP/1.1", "RFC 9110 §6.2", app("/"), served("hello", fields={":version": "1.1"})),
    row(
        "a reply to 1.0 says HTTP/1.1 too",
        "RFC 9110 §6.2",
        old("/"),
        served("hello", closes=True, fields={":version": "1.1"}),
        gunicorn=instead(
            served("hello", closes=True, fields={":version": "1.0"}),
            "A version tells what the server understands, not what the client asked in.",
        ),
    ),
    row(
        "an application's length frames its body",
        FRAMING,
        app("/"),
        served("hello", fields={"content-length": "5", "transfer-encoding": None}),
    ),
    row(
        "a body of one part gets a length",
        PEP,
        app("/single"),
        served("only one", fields={"content-length": "8", "transfer-encoding": None}),
        gunicorn=NO_LENGTH,
    ),
    row(
        "a list's body gets a length",
        PEP,
        app("/list"),
        served("abcdef", fields={"content-length": "6", "transfer-encoding": None}),
        gunicorn=NO_LENGTH,
    ),
    row(
        "a body whose length nobody knows is chunked",
        FRAMING,
        app("/iterator"),
        served("abcdef", fields={"content-length": None, "transfer-encoding": "chunked"}),
    ),
    row(
        "a body without a length ends with a connection of 1.0",
        FRAMING,
        old("/iterator"),
        served("abcdef", closes=True, fields={"content-length": None, "transfer-encoding": None}),
    ),
    row("empty parts of a body end nothing", PEP, app("/empty-strings"), served("abc")),
    row(
        "an empty body has a length",
        PEP,
        app("/empty-list"),
        served("", fields={"content-length": "0"}),
        gunicorn=NO_LENGTH,
    ),
    row("HEAD gets no body", NO_BODY, app("/iterator", method="HEAD"), answered(200, "", method="HEAD")),
    row(
        "HEAD gets no body that has a length",
        NO_BODY,
        app("/", method="HEAD") + app("/"),
        replies(reply(200, "", method="HEAD", fields={"content-length": "5"}), HELLO),
    ),
    row(
        "204 has no body",
        NO_BODY,
        app("/status?204+No+Content") + app("/"),
        replies(reply(204, "", fields={"content-length": None, "transfer-encoding": None}), HELLO),
    ),
    row("304 has no body", NO_BODY, app("/status?304+Not+Modified") + app("/"), replies(reply(304, ""), HELLO)),
    row("an unusual status is sent as it is", PEP, app("/status?799+Odd"), answered(799, "body")),
    row("too much body is cut at its length", LENGTH, app("/length?3,9") + app("/"), replies(reply(200, "xxx"), HELLO)),
    row(
        "too little body breaks the connection",
        LENGTH,
        app("/length?9,3"),
        broken(200, "xxx"),
        gunicorn=instead(
            HANGS,
            "A client would wait for the rest for ever, or take the next reply for it.",
            words="the reply is short, and the connection stays",
        ),
    ),
    row(
        "too little body to HEAD is none",
        LENGTH,
        app("/length?9,0", method="HEAD"),
        answered(200, "", method="HEAD", fields={"content-length": "9"}),
    ),
)

OWN_FIELDS = (
    row(
        "a reply has a Server field without a version",
        "RFC 9110 §10.2.4",
        app("/"),
        served("hello", fields={"server": "tapster"}),
        gunicorn=instead(served("hello", fields={"server": "gunicorn"}), "Each says its own name."),
    ),
    row(
        "a refusal has a Server field without a version",
        "RFC 9110 §10.2.4",
        octets("BAD\r\n\r\n"),
        refused(400, server="tapster"),
        gunicorn=instead(refused(400, server=None), "gunicorn's refusals have neither Server nor Date."),
    ),
    row(
        "server_header = false leaves Server out",
        "server_header",
        app("/"),
        served("hello", fields={"server": None}),
        server_header=False,
    ),
    row(
        "server_header = false leaves Server out of refusals",
        "server_header",
        octets("BAD\r\n\r\n"),
        refused(400, server=None),
        server_header=False,
    ),
    row(
        "an application's own Server is sent under server_header = false",
        "server_header",
        app("/own-date"),
        served("dated", fields={"server": "mine"}),
        server_header=False,
    ),
    row(
        "an application's own Date and Server are the only ones",
        PEP,
        app("/own-date"),
        served("dated", fields={"date": "Mon, 01 Jan 2001 00:00:00 GMT", "server": "mine"}),
        gunicorn=instead(
            served("dated", fields={"server": "gunicorn"}),
            "They are end-to-end fields, which PEP 3333 leaves to the application.",
        ),
    ),
    row(
        "a field's bytes above ASCII are latin-1",
        PEP,
        app("/headers"),
        served("headers", fields={"x-latin": "caf\xe9"}),
    ),
    row("an empty field is sent", PEP, app("/headers"), served("headers", fields={"x-empty": ""})),
)

MISTAKES = (
    row("an exception is a 500, and the connection's end", PEP, app("/raise-before") + app("/"), FAILED),
    row("an exception behind start_response is a 500", PEP, app("/raise-after"), FAILED),
    row("an exception within a chunked body breaks it", FRAMING, app("/raise-midstream"), broken()),
    row("an exception within a body with a length breaks it", FRAMING, app("/raise-midstream-with-length"), broken()),
    row(
        "an exception within a body that ends with the connection resets it",
        FRAMING,
        old("/raise-midstream"),
        RESETS,
        gunicorn=instead(
            served("partial", closes=True),
            words="200, and a tidy end",
            why="A tidy end would make half a body look whole.",
        ),
    ),
    row(
        "a line end in a field's value is a 500, and nothing of it is sent",
        PEP,
        app("/injected"),
        answered(500, closes=True, fields={"x-injected": None, "x-evil": None}),
    ),
    row("a field's value that is no text is a 500", PEP, app("/bad-header-type"), FAILED),
    row("a status that is no text is a 500", PEP, app("/bad-status"), FAILED),
    row(
        "a body that is no bytes is a 500",
        PEP,
        app("/unicode-body"),
        FAILED,
        gunicorn=instead(broken(200, ""), "Nothing has been sent yet, so the client can be told."),
    ),
    row("a body without start_response is a 500", PEP, app("/no-start"), FAILED),
    row("nothing at all without start_response is a 500", PEP, app("/no-start-empty"), FAILED),
    row(
        "a hop-by-hop field of the application's is a 500",
        PEP,
        app("/hop-by-hop"),
        FAILED,
        gunicorn=instead(
            served("hop"), "PEP 3333 calls it a fatal error; `hop_by_hop_headers = drop` does as gunicorn does."
        ),
    ),
    row(
        "Connection: close of the application's is a 500",
        PEP,
        app("/connection-close"),
        FAILED,
        gunicorn=instead(
            served("closed"),
            "PEP 3333 calls it a fatal error; `hop_by_hop_headers = drop` does as gunicorn does, and closes too.",
        ),
    ),
    row(
        "hop_by_hop_headers = drop leaves the fields out",
        "hop_by_hop_headers",
        app("/hop-by-hop"),
        served("hop", fields={"keep-alive": None, "te": None, "trailer": None, "x-after": "yes"}),
        hop_by_hop_headers="drop",
    ),
    row(
        "hop_by_hop_headers = drop still sees Connection: close",
        "hop_by_hop_headers",
        app("/connection-close"),
        served("closed", closes=True),
        hop_by_hop_headers="drop",
    ),
)

PAGES = (
    row(
        "a refusal is a small page of text",
        PAGE,
        octets("BAD\r\n\r\n"),
        refused(400, content_type=PLAIN),
        gunicorn=HTML,
    ),
    row(
        "a refusal says what was wrong, and no more",
        PAGE,
        request(host=None),
        refused(400, "400 Bad Request\n\nAn HTTP/1.1 request must have a Host field.\n", content_type=PLAIN),
        gunicorn=instead(served("hello"), "The RFC demands the refusal of a request without a Host."),
    ),
    row(
        "a refusal does not repeat what was sent",
        PAGE,
        request("X<script>: y"),
        refused(400, "400 Bad Request\n\nA field name is not a token.\n"),
        gunicorn=instead(
            refused(400, content_type="text/html"),
            words="400 with the name in it",
            why="gunicorn's page shows the wrong name, escaped; what is not repeated need not be escaped.",
        ),
    ),
    row(
        "a client that wants JSON gets it",
        "RFC 9110 §12.5.1",
        request("Accept: application/json", "Expect: x"),
        refused(417, content_type=JSON),
        gunicorn=HTML_417,
    ),
    row(
        "a client that wants JSON gets it though its head is broken",
        "RFC 9110 §12.5.1",
        request("Accept: application/json", "X : y"),
        refused(400, content_type=JSON),
        gunicorn=HTML,
    ),
    row(
        "a client that wants JSON gets it for an exception",
        "RFC 9110 §12.5.1",
        app("/raise-before", "Accept: application/json"),
        answered(500, closes=True, fields={"content-type": JSON}),
        gunicorn=instead(
            answered(500, closes=True, fields={"content-type": "text/html"}), "A program reads JSON better than HTML."
        ),
    ),
    row(
        "a browser gets text",
        "RFC 9110 §12.5.1",
        request("Accept: text/html,application/xhtml+xml,*/*;q=0.8", "Expect: x"),
        refused(417, content_type=PLAIN),
        gunicorn=HTML_417,
    ),
    row(
        "a client that would rather have text gets it",
        "RFC 9110 §12.5.1",
        request("Accept: application/json;q=0.5, text/plain", "Expect: x"),
        refused(417, content_type=PLAIN),
        gunicorn=HTML_417,
    ),
    row(
        "a refused HEAD gets no page",
        NO_BODY,
        request("Expect: x", method="HEAD"),
        answered(417, "", closes=True, method="HEAD"),
        gunicorn=instead(refused(417), PAGE_TO_HEAD, words="417 with a page"),
    ),
    row(
        "a failed HEAD gets no page",
        NO_BODY,
        app("/raise-before", method="HEAD"),
        answered(500, "", closes=True, method="HEAD"),
        gunicorn=instead(refused(500), PAGE_TO_HEAD, words="500 with a page"),
    ),
)

ROWS = (*FRAMED, *OWN_FIELDS, *MISTAKES, *PAGES)
