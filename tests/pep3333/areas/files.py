"""wsgi.file_wrapper, where it is offered: it need not be."""

from harness import wait_until

from ..rule import Area, Breach, NotAsked, demand, demand_equal

AREA = Area()
rule = AREA.rule

#: A rule that others stand upon.
POSITION = "a file is sent from where it stands"

#: Letters of one case only, so that the other case shows who changed them.
CONTENT = b"".join(b"line %07d of a file\n" % number for number in range(8000))


def _get(ask, route, **more):
    (ask.folder / "content").write_bytes(CONTENT)
    reply = ask.get(route, **more)
    if reply.status == 404:
        raise NotAsked("it offers no file wrapper")
    return reply


def _sends(ask, route, expected):
    reply = _get(ask, route)
    demand(reply.status in (200, 206), f"the answer is {reply.status}")
    demand_equal(len(reply.body), len(expected), "the body's length")
    demand(reply.body == expected, "the body is another one")
    return reply


@rule("wrapper-arguments", "wsgi.file_wrapper takes a file alone, or a file and a size")
def arguments(ask):
    for route in ("file", "file-sized"):
        _sends(ask, route, CONTENT)


@rule("wrapper-iterable", "the application can iterate a wrapper")
def iterable(ask):
    _sends(ask, "file-iterated", CONTENT)


@rule("wrapper-sends-nothing", "a wrapper that is not returned is not sent")
def discarded(ask):
    demand_equal(_get(ask, "file-discarded").body, b"something else", "the body")


@rule("wrapper-after-return", "a middleware that iterates a wrapper has its own blocks sent")
def changed(ask):
    _sends(ask, "file-changed", CONTENT.swapcase())


@rule("wrapper-close", "a wrapper's close() closes what it wraps")
def close_forwarded(ask):
    demand_equal(ask.seen(_get(ask, "file-close-forwarded")), True, "closed")


@rule("wrapper-close", "a file is closed when it was sent, once")
def file_closed(ask):
    _sends(ask, "file-closing", CONTENT)
    _closed(ask, 1)


@rule("wrapper-close", "what is only like a file is closed when it was sent, once")
def like_closed(ask):
    _sends(ask, "file-like-closing", CONTENT)
    _closed(ask, 1)


@rule("wrapper-close", "a file is closed where it is not sent, for HEAD")
def head_closed(ask):
    _get(ask, "file-closing", method="HEAD")
    _closed(ask, 1)


def _closed(ask, times):
    try:
        wait_until(lambda: len(ask.facts("closed")) >= times, 3)
    except AssertionError:
        raise Breach("it is not closed") from None


@rule("wrapper-position", POSITION)
def position(ask):
    _sends(ask, "file-from", CONTENT[1000:])


@rule(
    "wrapper-semantics",
    "the end of a file is known to the client where the application declares no length",
    needs=(POSITION,),
)
def undeclared(ask):
    reply = _sends(ask, "file-undeclared", CONTENT[1000:])
    length = reply.header("content-length")
    demand(length in (None, str(len(CONTENT) - 1000)), f"Content-Length is {length}")


@rule("wrapper-position", "a file that is moved after it was wrapped is sent from there", needs=(POSITION,))
def moved(ask):
    _sends(ask, "file-moved", CONTENT[1000:])


@rule("wrapper-position", "no more of a file is sent than the declared length", needs=(POSITION,))
def part(ask):
    demand_equal(_sends(ask, "file-range", CONTENT[1000:1500]).status, 206, "the status")


@rule("wrapper-any-file", "a wrapper around what only has read() is sent")
def like(ask):
    _sends(ask, "file-like", CONTENT)


@rule("wrapper-any-file", "a wrapper around a file in memory is sent")
def in_memory(ask):
    _sends(ask, "file-in-memory", CONTENT)
