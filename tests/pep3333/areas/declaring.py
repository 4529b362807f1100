"""start_response: what it takes, what it refuses, and when the head that it declares is sent."""

from harness import Truncated

from ..rule import Area, Breach, NotAsked, demand, demand_equal

AREA = Area()
rule = AREA.rule

#: Rules that others stand upon.
WRITES = "start_response returns something that can be called"
HOLDS = "nothing is sent while the application has only yielded empty blocks"
REPLACES = "with exc_info the second call replaces status and all headers"
RAISES = "with exc_info, when the head is gone, start_response raises"


def declared(reply):
    """Demands the head that the application declared."""
    demand_equal((reply.status, reply.header("x-declared")), (201, "yes"), "the answer")
    return reply


def refused(ask, *cases):
    """Demands that start_response raises for what no application may declare, and that nothing of it leaves."""
    for case in cases:
        before = len(ask.facts("raised"))
        heard = ask.everything("wrong", f"X-Case: {case}")
        raised = len(ask.facts("raised")) > before
        head = heard.split(b"\r\n\r\n")[0]
        leaked = any(line.lower().startswith(b"x-evil") for line in head.replace(b"\r", b"\n").split(b"\n"))
        what = case.replace("-", " ")
        demand(not leaked, f"{what}: it is sent, and makes a header of its own")
        status = head.split(b"\r\n")[0].split(b" ", 1)[-1][:12].decode("latin-1")
        sent = f"the answer is {status!r}" if heard else "the connection is closed"
        demand(raised, f"{what}: start_response does not raise, {sent}")


@rule("start-arguments", "start_response takes None as its third argument")
def third(ask):
    demand_equal(ask.get("returns-write").status, 200, "the status")


@rule("returns-write", WRITES)
def returns_write(ask):
    reply = ask.get("returns-write")
    demand(reply.body.startswith(b"True"), f"it returns {reply.body.split()[-1].decode()}")


@rule("start-returns-write", "what write() was given is in the body", needs=(WRITES,))
def writes(ask):
    demand_equal(ask.get("only-written").body, b"written", "the body")


@rule("start-sends-nothing", "nothing is sent while the application has only called start_response")
def held(ask):
    with ask.wire() as wire:
        wire.send(ask.head("held-head"))
        ask.wait_fact("declared", "the application does not get that far")
        wire.expect_nothing("the head is sent at once")
        ask.open_gate()
        demand_equal(declared(wire.reply()).body, b"late", "the body")


@rule("head-with-body", HOLDS)
def held_by_empty_blocks(ask):
    with ask.wire() as wire:
        wire.send(ask.head("held-by-empty-blocks"))
        ask.wait_fact("declared", "it is not iterated beyond an empty block")
        wire.expect_nothing("the head is sent with an empty block")
        ask.open_gate()
        demand_equal(declared(wire.reply()).body, b"late", "the body")


@rule("head-with-body", "the head is sent at the end of an iterable that has yielded nothing")
def no_blocks(ask):
    for route in ("no-blocks", "only-empty-blocks"):
        demand_equal(declared(ask.get(route)).body, b"", "the body")


@rule("deferred-start", "a generator, or the PEP's example of a class, may call start_response in the first iteration")
def deferred(ask):
    for route in ("deferred", "deferred-by-class"):
        _teapot(ask.get(route))


def _teapot(reply):
    demand_equal((reply.status, reply.header("x-late")), (418, "yes"), "the answer")
    demand_equal(reply.body, b"one,two", "the body")


@rule("exc-info-replaces", REPLACES)
def replaced(ask):
    _second(ask, "replaced")


@rule(
    "exc-info-replaces",
    "with exc_info the second call replaces them, too, when empty blocks were yielded before",
    needs=(REPLACES, HOLDS),
)
def replaced_after_empty_blocks(ask):
    _second(ask, "replaced-after-empty-blocks")


def _second(ask, route):
    try:
        reply = ask.get(route)
    except Truncated:
        raise Breach("the first call's Content-Length stays, and the reply breaks off") from None
    demand_equal((reply.status, reply.body), (503, b"second"), "the answer")
    demand_equal((reply.header("x-first"), reply.header("x-second")), (None, "yes"), "the old and the new header")


@rule("exc-info-raises", RAISES)
def too_late(ask):
    ask.everything("too-late")
    raised = ask.wait_fact("raised", "the application is not iterated so far")
    demand(raised != ["nothing"], "it raises nothing")


@rule("exc-info-reraises", "what start_response raises then is the exception that it was given", needs=(RAISES,))
def reraises(ask):
    ask.everything("too-late")
    raised = ask.wait_fact("raised", "the application is not iterated so far")
    demand(raised == ["the same"], f"it raises {raised[0]}")


@rule("exc-info-released", "start_response keeps no reference to exc_info", needs=(REPLACES,))
def released(ask):
    demand(ask.get("forgotten").body == b"forgotten", "it keeps one")


@rule("twice-fatal", "a second call without exc_info raises")
def twice(ask):
    ask.everything("twice")
    demand(ask.facts("raised") != ["nothing"], "it raises nothing")


@rule("twice-fatal", "a second call without exc_info raises, too, where the first raised because of its headers")
def again(ask):
    ask.everything("again-after-an-error")
    if ask.facts("first") == ["nothing"]:
        raise NotAsked("the first call does not raise")
    demand(ask.facts("second") != ["nothing"], "it raises nothing")


@rule("checked-at-start", "a line end in a header's value raises")
def line_end(ask):
    refused(ask, "value-with-line-end", "value-with-newline", "value-with-return", "value-ends-with-newline")


@rule("checked-at-start", "another control character in a header's value raises")
def control(ask):
    refused(ask, "value-with-nul", "value-with-escape")


@rule("checked-at-start", "a header's name that is none by HTTP's rules raises")
def name(ask):
    refused(ask, "name-with-line-end", "name-with-colon", "name-with-space", "name-is-empty")


@rule("misuse-told", "a line end in the status raises, and is not sent")
def status(ask):
    refused(ask, "status-with-line-end", "status-ends-with-newline")


@rule("misuse-told", "a status without a code raises")
def code(ask):
    refused(ask, "status-without-code")


@rule("checked-at-start", "a header's name or value that is no str raises")
def header_types(ask):
    refused(ask, "value-is-int", "value-is-bytes", "value-is-none", "name-is-bytes")


@rule("misuse-told", "a status that is no str raises")
def status_types(ask):
    refused(ask, "status-is-int", "status-is-bytes")


@rule("other-characters-fatal", "a header or status with characters beyond Latin-1 is an error")
def beyond(ask):
    for case in ("value-beyond-latin-1", "status-beyond-latin-1"):
        before = len(ask.facts("raised"))
        heard = ask.everything("wrong", f"X-Case: {case}")
        if len(ask.facts("raised")) == before and heard:
            demand(heard[9:10] == b"5", f"{case.replace('-', ' ')}: the answer is {heard[9:15].decode('latin-1')}")


HOP_BY_HOP = (
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailers",
    "transfer-encoding",
    "upgrade",
)


@rule("hop-by-hop-fatal", "each header that RFC 2616 calls hop-by-hop raises")
def hop_by_hop(ask):
    passed = []
    for each in HOP_BY_HOP:
        try:
            refused(ask, each)
        except Breach:
            passed.append(each)
    which = "any of them" if len(passed) == len(HOP_BY_HOP) else ", ".join(passed)
    demand(not passed, f"no error for {which}")


@rule("adds-required", "a Date is added where the application sends none")
def date(ask):
    found = ask.get("hello").header("date")
    demand(found and found.endswith(" GMT"), "there is none")


@rule("names-any-case", "Date, Server and Content-Length of the application's, in odd cases, are not doubled")
def not_doubled(ask):
    reply = ask.get("own")
    for name in ("date", "server", "content-length"):
        demand_equal(len(reply.fields(name)), 1, f"the number of {name} headers")
    demand_equal(reply.body, b"body", "the body")


@rule("start-needed", "an application that never calls start_response gets no 200")
def never(ask):
    heard = ask.everything("never")
    demand(not heard.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")), "the answer is 200")
