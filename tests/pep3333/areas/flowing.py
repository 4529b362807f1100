"""When the blocks of a body leave, and what becomes of the iterable."""

import contextlib

from harness import wait_until

from ..apps.routes.blocks import ALL_BYTES, BIG
from ..rule import Area, Breach, demand_equal
from .declaring import WRITES

AREA = Area()
rule = AREA.rule


def _gated(ask, route, first=b"first"):
    """Demands that a block comes while the application waits for the client to have it."""
    with ask.wire() as wire:
        wire.send(ask.head(route))
        wire.until(first, "it does not come before the next is made")
        ask.open_gate()
        wire.until(b"second", "the second block does not come")


@rule("binary", "bytes of every value, and each kind of line end, come as they were yielded")
def binary(ask):
    demand_equal(ask.get("every-byte").body, ALL_BYTES * 2, "the body")


@rule("unbuffered", "a block comes before the application is asked for the next")
def unbuffered(ask):
    _gated(ask, "gated")


@rule("no-delay", "a block comes before the next is asked for to a client of HTTP/1.0, too")
def unbuffered_to_old(ask):
    with ask.wire() as wire:
        wire.send(ask.head("gated", version="HTTP/1.0"))
        wire.until(b"first", "it does not come before the next is made")
        ask.open_gate()
        wire.until(b"second", "the second block does not come")


@rule("keeps-transmitting", "all of a block of 16 MiB comes while the application makes the next")
def big(ask):
    with ask.wire(window=1 << 16) as wire:
        wire.send(ask.head("gated-big"))
        # A server that has taken the whole block upon itself goes on; one that waits for its client does not.
        ask.may_note("asked")
        wire.until(b"\r\n\r\n", "not even the head comes before the next is made")
        wire.until_enough(b"x", BIG, "what the client has not taken at once waits until the next is made")
        ask.open_gate()
        wire.until(b"second", "the second block does not come")


@rule("write-sends", "what write() was given comes before the application goes on", needs=(WRITES,))
def written(ask):
    _gated(ask, "gated-write")


@rule("write-then-yield", "what is yielded after a write() comes before the next is asked for", needs=(WRITES,))
def yielded_after_write(ask):
    _gated(ask, "gated-after-write")


@rule("written-first", "what write() was given comes before what is yielded", needs=(WRITES,))
def order(ask):
    demand_equal(ask.get("written-and-yielded").body, b"one,two,three,four", "the body")


def _closed(ask, times=1):
    ask.wait_fact("closed", "it is not called")
    # It could be called again until the next request is served.
    ask.get("hello")
    demand_equal(len(ask.facts("closed")), times, "the number of calls")


@rule("close", "close() is called once when the body is at its end")
def closed(ask):
    for number, route in enumerate(("closing", "closing-empty"), 1):
        ask.get(route)
        wait_until(lambda number=number: len(ask.facts("closed")) >= number, 2, "close() called")
    _closed(ask, 2)


@rule("close", "close() of a list that has one is called")
def closed_list(ask):
    demand_equal(ask.get("closing-list").body, b"only", "the body")
    _closed(ask)


@rule("close", "close() is called when there is no body to send, for HEAD")
def closed_head(ask):
    ask.get("closing", method="HEAD")
    _closed(ask)


@rule("close", "close() is called when the iteration fails")
def closed_failed(ask):
    for number, route in enumerate(("closing-failed", "closing-failed-first"), 1):
        with contextlib.suppress(OSError):
            ask.everything(route)
        when = "behind the first block" if number == 1 else "at the first block"
        try:
            wait_until(lambda number=number: len(ask.facts("closed")) >= number, 3)
        except AssertionError:
            raise Breach(f"it is not called where that fails {when}") from None
    _closed(ask, 2)


@rule("close", "close() is called when the client has gone")
def closed_gone(ask):
    with ask.wire() as wire:
        wire.send(ask.head("closing-endless"))
        wire.until(b"xxx", "the body does not begin")
        wire.reset()
    _closed(ask)


@rule("close", "close() is called when the declared length ends the iteration")
def closed_at_length(ask):
    ask.everything("too-much")
    _closed(ask)
