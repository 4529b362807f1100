"""How an application is called, side by side with others or not, and what of its iterable is used."""

import threading

from ..rule import Area, Start, demand, demand_equal

AREA = Area()
rule = AREA.rule

KINDS = ("function", "generator", "Class", "method", "static", "partial")


@rule(
    "any-callable",
    "functions, generator functions, classes, methods and partial objects are called alike",
    starts=tuple(Start(f"kinds:{kind}") for kind in KINDS),
)
def any_callable(ask):
    reply = ask.get("")
    demand_equal((reply.status, reply.body), (200, b"shape"), "the answer")


@rule("any-callable", "an instance with __call__, which has no name, is called like a function")
def instance(ask):
    demand_equal(ask.get("hello").body, b"hello", "the answer")


@rule("positional-call", "the application is called with two positional arguments")
def positional(ask):
    demand_equal(ask.seen(ask.get("call-arguments")), [2, []], "the number of positional and the names of others")


@rule("once-a-request", "a request calls the application once, whatever its method and protocol")
def once(ask):
    for number, (method, version) in enumerate((("GET", "1.1"), ("HEAD", "1.1"), ("PATCH", "1.1"), ("GET", "1.0")), 1):
        ask.get("count", method=method, version=f"HTTP/{version}")
        demand_equal(len(ask.facts("called")), number, f"the number of calls after {method} in {version}")


@rule("environ-is-the-applications", "an application may empty the environ and fill it with what it likes")
def emptied(ask):
    reply = ask.get("environ-emptied")
    demand(reply.body == b"emptied", f"the answer is {reply.status} {reply.reason}")
    demand("left.behind" not in ask.seen(ask.get("environ"))["keys"], "the next request sees it")


@rule("no-other-attributes", "of an iterable nothing is looked at but close(), the length and the iterator")
def untouched(ask):
    demand_equal(ask.get("touchy").body, b"one,two", "the body")
    known = {"close", "__len__", "__iter__", "__next__", "__getitem__", "__class__", "__length_hint__"}
    touched = sorted(set(ask.facts("touched")) - known)
    demand(not touched, f"it looks at {', '.join(touched)}")


@rule("by-index", "an iterable that has no more than __getitem__ is iterated")
def by_index(ask):
    reply = ask.get("by-index")
    demand_equal((reply.status, reply.body), (200, b"block,block,block,"), "the answer")


def _side_by_side(ask):
    """What two requests saw that came at the same time."""
    seen = []

    def run():
        seen.append(ask.seen(ask.get("overlap")))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    demand_equal(len(seen), 2, "the number of answers")
    return max(each["most"] for each in seen), seen[0]["multithread"]


@rule("one-thread", "with one thread no two calls run side by side")
def one_thread(ask):
    demand_equal(_side_by_side(ask)[0], 1, "the number of calls side by side")


@rule("multithread", "wsgi.multithread is false where a worker has one thread")
def no_threads(ask):
    most, multithread = _side_by_side(ask)
    demand(most > 1 or not multithread, "it is true")


@rule("multithread", "wsgi.multithread is true where a worker has two threads", starts=(Start(threads=2),))
def two_threads(ask):
    demand(_side_by_side(ask)[1], "it is false")


def _multiprocess(ask):
    return bool(ask.seen(ask.get("environ"))["keys"]["wsgi.multiprocess"][1])


@rule(
    "multiprocess",
    "wsgi.multiprocess is false where there is one worker",
    reading={
        "bjoern": "it can't know whether the program that it is a part of has forked, so true is a way to read it"
    },
)
def one_process(ask):
    demand(not _multiprocess(ask), "it is true")


@rule("multiprocess", "wsgi.multiprocess is true where there are two workers", starts=(Start(workers=2),))
def two_processes(ask):
    demand(_multiprocess(ask), "it is false")


@rule("run-once", "wsgi.run_once is false where a process serves many requests")
def run_once(ask):
    demand(not ask.seen(ask.get("environ"))["keys"]["wsgi.run_once"][1], "it is true")


PAIR = ("PEP3333_PAIR", "from the deployer")


@rule(
    "pairs",
    "a name and a value of the deployer's are in the environ",
    starts=(Start(pair=PAIR),),
    deviation="what is in the environ comes from the request alone, and `env` puts names into os.environ",
)
def pairs(ask):
    found = ask.seen(ask.get("environ"))["keys"].get(PAIR[0])
    demand(found is not None, "there is no way to put it there")
    demand_equal(found[1], PAIR[1], PAIR[0])


@rule("url", "the URL put together from the environ is the one that was asked for")
def url(ask):
    target = "/url/caf%C3%A9%20x?a=b&c=%20"
    with ask.wire() as wire:
        found = ask.seen(wire.send(f"GET {target} HTTP/1.1\r\nHost: test.example:81\r\n\r\n").reply())
    demand_equal(found, f"http://test.example:81{target}", "it")


@rule("url", "the URL is put together from SERVER_NAME and SERVER_PORT where there is no Host field")
def url_without_host(ask):
    with ask.wire() as wire:
        found = ask.seen(wire.send("GET /url HTTP/1.0\r\n\r\n").reply())
    port = ask.server.address[1]
    demand(found.startswith("http://") and found.endswith(f":{port}/url"), f"it is {found}")
