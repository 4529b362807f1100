"""How long a body is: declared, not declared, exceeded, not reached."""

from harness import Truncated

from ..rule import Area, Breach, NotAsked, demand, demand_equal
from .declaring import WRITES

AREA = Area()
rule = AREA.rule


def _body_on_the_wire(ask, route):
    """What comes behind the head, up to the connection's end."""
    heard = ask.everything(route)
    demand(heard, "there is no answer")
    return heard.split(b"\r\n\r\n", 1)[1]


@rule("length-exceeded", "of blocks that exceed the declared length no more is sent")
def exceeded(ask):
    demand_equal(len(_body_on_the_wire(ask, "too-much")), 30, "the number of bytes")


@rule("length-exceeded", "of a single block that exceeds the declared length no more is sent")
def exceeded_in_one(ask):
    body = _body_on_the_wire(ask, "too-much-in-one")
    demand(len(body) <= 5, f"{len(body)} bytes are sent instead of 5")


@rule("length-stops", "blocks are no longer asked for when the declared length is reached")
def stops(ask):
    ask.everything("too-much")
    asked = len(ask.facts("asked"))
    # A server may be some blocks ahead of what it sends; but it must stop.
    demand(asked < 50, f"{asked} of 100 blocks are asked for where 3 are enough")


@rule("length-stops", "write() raises where it would exceed the declared length", needs=(WRITES,))
def write_raises(ask):
    heard = ask.everything("writes-too-much")
    demand(ask.facts("raised") not in ([], ["nothing"]), "it raises nothing")
    demand_equal(heard.split(b"\r\n\r\n", 1)[1], b"01234", "the body")


@rule("length-missed", "a body that is shorter than declared ends with the connection")
def missed(ask):
    for route in ("too-little", "too-little-by-blocks"):
        with ask.wire() as wire:
            try:
                reply = wire.send(ask.head(route)).reply()
            except Truncated:
                continue
            except TimeoutError:
                raise Breach("the connection stays open, and the client waits") from None
        if reply.status < 500:
            raise Breach(f"the answer says that it is whole, with {reply.header('content-length')} bytes")


@rule("length-missed", "a body that is shorter than declared is logged")
def missed_logged(ask):
    before = len(ask.logged())
    try:
        ask.everything("too-little")
    finally:
        logged = ask.logged()[before:]
    if not logged.strip():
        ask.wait_log("\n", "nothing is logged")


@rule("length-unknown", "the end of a body is known to the client without a declared length")
def unknown(ask):
    for route, body in (("several", b"one,two,three"), ("pair", b"onetwo"), ("sized", b"one and only")):
        demand_equal(ask.get(route).body, body, f"the body of {route}")


@rule("length-unknown", "the end of a body is known to a client of HTTP/1.0 too, which knows no chunks")
def unknown_to_old(ask):
    reply = ask.get("several", version="HTTP/1.0")
    demand(not reply.fields("transfer-encoding"), "it is chunked")
    demand_equal(reply.body, b"one,two,three", "the body")


@rule("length-of-one", "a length that the server finds out for a single block is right")
def of_one(ask):
    for route in ("single", "sized"):
        reply = ask.get(route)
        demand(reply.header("content-length") in (None, "12"), f"it is {reply.header('content-length')}")
        demand_equal(reply.body, b"one and only", "the body")


@rule("length-of-one", "a single block behind a write() is not taken for the whole body", needs=(WRITES,))
def of_one_written(ask):
    demand_equal(ask.get("written-and-single").body, b"written,returned", "the body")


@rule("chunked", "empty blocks do not end a chunked body")
def empty_blocks(ask):
    reply = ask.get("several")
    if not reply.fields("transfer-encoding"):
        raise NotAsked("it does not chunk")
    demand_equal(reply.body, b"one,two,three", "the body")


@rule("chunked", "204 and 304 are not chunked")
def not_chunked(ask):
    for status in ("204 No Content", "304 Not Modified"):
        head, _ = _bodiless(ask, status, "GET")
        demand(b"transfer-encoding" not in head.lower(), f"{status[:3]} is")


@rule("bodiless", "a reply to HEAD has no body")
def head_without_body(ask):
    _, body = _bodiless(ask, "200 OK", "HEAD")
    demand(not body, f"behind the head comes {body[:40]!r}")


@rule("bodiless", "204 and 304 have no body")
def without_body(ask):
    for status in ("204 No Content", "304 Not Modified"):
        _, body = _bodiless(ask, status, "GET")
        demand(not body, f"{status[:3]}: behind the head comes {body[:40]!r}")


def _bodiless(ask, status, method):
    with ask.wire() as wire:
        wire.send(ask.head("status", f"X-Status: {status}", "Connection: close", method=method))
        head, _, body = wire.all().partition(b"\r\n\r\n")
    demand(head, f"{status[:3]}: there is no answer")
    return head, body
