"""What HTTP demands of a server, and what is left to the application."""

from ..rule import Area, Breach, demand, demand_equal

AREA = Area()
rule = AREA.rule

BODY = "the body that was announced"


def _expects(ask, route, version="HTTP/1.1"):
    """Announces a body, and waits for a while for leave to send it: (what came, the reply's body)."""
    with ask.wire() as wire:
        fields = (f"Content-Length: {len(BODY)}", "Expect: 100-continue")
        wire.send(ask.head(route, *fields, method="POST", version=version))
        interim = _interim(wire)
        wire.send(BODY)
        return interim, wire.final_reply("POST")


def _interim(wire):
    wire.socket.settimeout(0.7)
    try:
        data = wire.socket.recv(4096)
    except TimeoutError:
        return b""
    head, _, wire._buffer = data.partition(b"\r\n\r\n")
    return head


@rule("expect-continue", "a body that waits for 100 Continue reaches the application")
def expect_continue(ask):
    interim, reply = _expects(ask, "echo-declared")
    demand(interim[9:12] in (b"", b"100"), f"the first answer is {interim[:40]!r}")
    demand_equal((reply.status, reply.body), (200, BODY.encode()), "the answer")


@rule("continue-blocks", "a read waits for the body of a client that waits for leave to send it")
def continue_blocks(ask):
    _, reply = _expects(ask, "echo")
    demand_equal((reply.status, reply.body), (200, BODY.encode()), "the answer")


@rule("no-continue-in-1.0", "a client of HTTP/1.0 is never sent a 100")
def no_continue(ask):
    interim, _ = _expects(ask, "echo-declared", version="HTTP/1.0")
    demand(not interim, f"it is sent {interim[:40]!r}")


@rule(
    "inbound-hop-by-hop",
    "a chunked body is decoded, or refused",
    reading={"uWSGI": "an application that knows uWSGI reads chunked bodies by uwsgi.chunked_read()"},
)
def chunked(ask):
    with ask.wire() as wire:
        wire.send(ask.head("echo", "Transfer-Encoding: chunked", method="POST"))
        wire.send("3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        try:
            reply = wire.reply("POST")
        except TimeoutError:
            raise Breach("there is no answer") from None
    if reply.status in (400, 411, 501):
        return
    demand_equal((reply.status, reply.body), (200, b"abcdefg"), "the answer")


@rule("plays-dumb", "headers come with the application's values, repeated ones each by itself and in order")
def headers(ask):
    reply = ask.get("own")
    demand_equal(reply.fields("set-cookie"), ["a=1; Path=/", "b=2; Path=/"], "Set-Cookie")
    demand_equal(reply.header("content-type"), "text/x-own; charset=latin-1", "Content-Type")
    demand_equal(reply.header("x-empty"), "", "an empty header")
    demand_equal(reply.header("x-lower"), "low", "a header in lower case")


@rule("plays-dumb", "a status that nobody knows comes as it is")
def status(ask):
    demand_equal(ask.get("own").status, 299, "it")


@rule(
    "plays-dumb",
    "the reason phrase is the application's",
    reading={"granian": "HTTP gives the phrase no meaning, so to replace it does not change the response's"},
)
def reason(ask):
    demand_equal(ask.get("own").reason, "Rather Fine", "it")


@rule("same-semantics", "a body is not coded, and no header that changes its meaning is added")
def untouched(ask):
    reply = ask.get("compressible", "Accept-Encoding: gzip, deflate, br", 'If-None-Match: "two"', "Range: bytes=0-9")
    demand_equal(reply.fields("content-encoding"), [], "Content-Encoding")
    demand(reply.body == b"a" * 20_000 or reply.status == 206, "the body is another one")
    demand_equal(reply.header("etag"), '"one"', "ETag")


@rule("same-semantics", "the length that the application declares for a reply to HEAD stays")
def head(ask):
    demand_equal(ask.get("own", method="HEAD").header("content-length"), "4", "it")
