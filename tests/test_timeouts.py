"""Requests that take longer than `timeout` in code that Python can interrupt: their clients are answered or cut off, the log
tells where they were, `tapster.RequestTimeout` ends them, and nobody else notices."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from harness import Load, Truncated, wait_until
from harness.gate import Gate
from harness.interpreters import INTERPRETERS
from harness.late import APP, INTERRUPTED, notes, starter

pytestmark = pytest.mark.tapster
on_each_python = pytest.mark.parametrize("python", INTERPRETERS, ids=lambda each: each.name)
threads_1_or_4 = pytest.mark.parametrize("threads", [1, 4])


@pytest.fixture
def second_gate(make_gate):
    """Another one."""
    return make_gate("second")


@pytest.fixture
def start(serve):
    """Starts a server with so many threads, in which a request may take a second, and no worker is replaced for it."""
    return starter(serve)


def expect_serving(server, threads):
    """The first worker is the one that serves, and none of its threads is lost."""
    with ExitStack() as stack:
        wires = [stack.enter_context(server.wire(timeout=30)).get(f"/meet?{threads}") for _ in range(threads)]
        assert len({wire.reply().json for wire in wires}) == threads
    assert len(server.ready()) == 1 and "WORKER TIMEOUT" not in server.log()


def late(text):
    """What the log says first of the request that `text` names."""
    silent = r"(, and has given nothing for the last 1(\.\d+)?s)?"
    spent = r"1(\.\d+)?s" + silent + ", longer than timeout = 1s"
    return rf"\[ERROR\] the request {re.escape(text)} has been in the application for {spent}"


# What becomes of such a request.


@on_each_python
@threads_1_or_4
@pytest.mark.parametrize("hang", ["between", "python"])
def test_its_client_gets_a_504_its_stack_is_logged_and_it_is_interrupted(start, python, threads, hang):
    python.require()
    server = start(threads, interpreter=python)
    reply = server.get(f"/{hang}?one")
    assert (reply.status, reply.header("connection")) == (504, "close")
    assert "took too long" in reply.text
    server.wait_log(late(f"GET /{hang}?one") + ": its client gets a 504")
    function = {"between": "hang_between_instructions", "python": "hang_in_python"}[hang]
    stack = server.wait_log(r"What Python is doing while the request GET /\w+\?one is late:\n(?:(?! \[\w+\] ).*\n)*?.*in hang_\w+")
    assert re.search(r"Thread (MainThread|tapster-\d) .* which is late .*\n(.*\n)* +File \".*late\.py\", line", stack[0])
    assert stack[0].endswith(f"in {function}")
    (one, raised), (_, last, _) = notes(server, 2)
    assert (one, raised, last) == ("one", INTERRUPTED, "finally")
    server.wait_log(rf"request GET /{hang}\?one was interrupted after its timeout")
    server.wait_log(rf"the request GET /{hang}\?one has come back from the application")
    expect_serving(server, threads)


def test_a_client_that_wants_json_gets_its_504_as_that_and_one_of_head_no_body(start):
    server = start(2)
    with server.wire() as wire:
        reply = wire.exchange("/between?json", "Accept: application/json")
        assert (reply.status, reply.header("content-type")) == (504, "application/problem+json")
        assert reply.json["status"] == 504
        wire.expect_closed()
    with server.wire() as wire:
        reply = wire.exchange("/between?head", method="HEAD")
        assert reply.status == 504 and int(reply.header("content-length")) > 0
        wire.expect_closed()


def test_the_stacks_of_all_threads_are_logged_the_late_one_first(start, gate):
    server = start(3, "--timeout", "2")
    with server.wire(timeout=30) as ticking:
        ticking.get(f"/ticks-until?{gate.path}")
        assert ticking.socket.recv(1, socket.MSG_PEEK)
        assert server.get("/between?late").status == 504
        told = server.wait_log(r"What Python is doing(.*\n)*?.*in hang_between_instructions\n(.*\n)*?.*in ticks_until\n")[0]
        first, *others = re.findall(r"^Thread (\S+) \(ident \d+\)", told, re.MULTILINE)
        assert len({first, *others}) == 1 + len(others) >= 2
        assert others and all(re.fullmatch(r"MainThread|tapster-\d", name) for name in (first, *others))
        gate.open()
        ticking.reply()


#: What is said where the log has the stacks of all threads already.
ELSEWHERE = r" \(the stacks of all threads were logged \S+ ago; that is done at most every 10s\)"
#: A thread that is told with the request that it is late with.
LATE_THREAD = r"^Thread (\S+) \(ident \d+\), which is late with the request GET (\S+)(?: and| \(most recent call last\):)$"


def entries(server):
    """What the log says that Python is doing: each time the requests, what is said of them, and the stacks."""
    entry = re.compile(r"What Python is doing while (.*?) (?:is|are) late(| \(.*\)):\n((?:(?!\[20\d\d-).*\n)*)")
    return entry.findall(server.log())


def test_of_requests_that_are_late_soon_after_only_the_own_stack_is_logged(start, gate):
    server = start(3)
    with gate.filled(server, 1) as wires:
        assert wires[0].reply().status == 504
        server.wait_log("What Python is doing while the request GET /stay")
        assert server.get("/between?two").status == 504
        server.wait_log(rf"What Python is doing while the request GET /between\?two is late{ELSEWHERE}:\n(.*\n)*?.*in hang_between")
        (_, first, all_of_them), (_, _, own) = entries(server)
        assert first == "" and "at_gate" in all_of_them and len(re.findall("^Thread", all_of_them, re.MULTILINE)) == 3
        assert re.findall("^Thread", own, re.MULTILINE) == ["Thread"] and "at_gate" not in own
        assert re.findall(LATE_THREAD, own, re.MULTILINE)[0][1] == "/between?two"


def test_requests_that_are_late_together_are_told_together(start, gate, tmp_path):
    server = start(13, "--timeout", "4")
    lock = Gate(tmp_path / "lock")
    try:
        with gate.filled(server, 12) as wires, server.wire(timeout=30) as holder:
            # Nobody can look for as long as the interpreter's lock is held.
            holder.get(f"/stay?{lock.path},lock")
            lock.wait_inside()
            assert [wire.reply().status for wire in (*wires, holder)] == [504] * 13
            lock.open()
            server.wait_log("What Python is doing")
            requests, elsewhere, stacks = wait_until(lambda: entries(server), what="the entry")[0]
            late = re.findall(LATE_THREAD, stacks, re.MULTILINE)
            assert elsewhere == "" and len({name for name, _ in late}) == len(late) >= 12
            assert requests.count("the request GET /stay") == 10 and requests.endswith(f" and {len(late) - 10} more")
            # They are at one place, which is told once; the main thread has come there in another way.
            assert stacks.count("os.read(gate, 1)") <= 2
    finally:
        lock.close()
    expect_serving(server, 13)


def test_many_late_requests_do_not_fill_the_log(start):
    server = start(32)
    asked = [f"/between?{number:03}" for number in range(96)]
    begun = time.monotonic()
    with ThreadPoolExecutor(32) as clients:
        assert {reply.status for reply in clients.map(lambda path: server.get(path, timeout=30), asked)} == {504}
    server.wait_log("has come back from the application", count=96)
    told = entries(server)
    for path in asked:
        assert any(f"late with the request GET {path}" in stacks for *_, stacks in told), path
    assert all("in hang_between_instructions" in stacks for *_, stacks in told)
    whole = [stacks for _, elsewhere, stacks in told if not elsewhere]
    assert 1 <= len(whole) <= 1 + (time.monotonic() - begun) / 10
    assert sum(len(stacks) for *_, stacks in told) < 96 * 2000 + len(whole) * 64_000


def test_requests_that_time_out_are_summed_up_and_are_no_refusals(start):
    server = start(4)
    with ThreadPoolExecutor(4) as clients:
        assert [reply.status for reply in clients.map(lambda _: server.get("/between?counted"), range(4))] == [504] * 4
    assert server.stop() == 0
    server.wait_log(r"\[WARNING\] requests that took longer than timeout in the last minute: 4\n")
    assert "refused requests" not in server.log()


@pytest.mark.parametrize("name", ["", "with-a-length"])
def test_a_reply_that_has_begun_is_cut_off(start, name):
    server = start(2)
    with server.wire() as wire:
        with pytest.raises(Truncated) as raised:
            wire.exchange(f"/begun?{name}")
        assert raised.value.reply.body == b"first"
    server.wait_log(late(f"GET /begun?{name}") + ": its client, which has a part of the reply, is cut off")
    assert notes(server, 2)[0] == [name, INTERRUPTED]
    expect_serving(server, 2)


def test_a_reply_that_has_begun_and_ends_with_the_connection_is_reset(start):
    server = start(1)
    with server.wire() as wire:
        wire.send("GET /begun HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            while wire.socket.recv(1000):
                pass


def test_code_that_goes_on_after_each_exception_is_interrupted_all_the_same(start):
    server = start(1)
    assert server.get("/swallow?all").status == 504
    assert notes(server, 2)[0] == ["all", INTERRUPTED]
    expect_serving(server, 1)


def test_a_client_that_has_left_changes_nothing(start):
    server = start(1)
    with server.wire() as wire:
        wire.get("/between?left")
        wire.reset()
    assert notes(server, 2)[0] == ["left", INTERRUPTED]
    server.wait_log(late("GET /between?left"))
    expect_serving(server, 1)


def test_requests_that_follow_on_its_connection_are_not_run(start):
    server = start(2)
    with server.wire() as wire:
        wire.get("/between?first").get("/note?second")
        server.wait_log(late("GET /between?first"))
        with suppress(BrokenPipeError):
            wire.get("/note?third")
        assert wire.reply().status == 504
        wire.expect_closed()
    assert notes(server, 2)[0] == ["first", INTERRUPTED]
    assert server.get("/notes").json == []


def test_a_client_that_has_sent_more_behind_it_gets_the_504_and_no_reset(start, gate):
    server = start(1)
    with server.wire(timeout=30) as wire:
        wire.get(f"/stubborn?{gate.path}")
        server.wait_log(late(f"GET /stubborn?{gate.path}"))
        wire.get("/note?second")
        gate.wait_inside(1)
        gate.open()
        server.wait_log(r"GET /stubborn\S+ has come back from the application")
        wire.get("/note?third")
        assert wire.reply().status == 504
        assert wire.socket.recv(1) == b""


# Who goes on.


@threads_1_or_4
def test_an_application_that_takes_no_notice_answers_nobody(start, gate, threads):
    server = start(threads, "--keep-alive", "60")
    with ExitStack() as stack:
        wires = [stack.enter_context(server.wire(timeout=30)) for _ in range(threads)]
        for wire in wires:
            wire.get(f"/stubborn?{gate.path}")
        for wire in wires:
            assert wire.reply().status == 504
            wire.expect_closed()
        gate.wait_inside(threads)
        # Connections that are there when the late replies come.
        others = [stack.enter_context(server.wire(timeout=30)).get(f"/note?{number}") for number in range(20)]
        gate.open()
        assert [wire.reply().json for wire in others] == [str(number) for number in range(20)]
        for wire in others:
            wire.expect_open("/who")
    found = notes(server, threads)
    assert found.count("RequestTimeout") == threads and "went on" not in found
    expect_serving(server, threads)


@threads_1_or_4
def test_only_requests_that_are_late_are_interrupted(serve, threads):
    server = serve(APP, "--threads", str(threads), "--timeout", "50ms", "--timeout-grace", "60")
    wrong = []

    def ask(client):
        for number in range(160 // threads):
            # One that takes about as long as it may, and one that may find its exception in the way.
            for path in ("about", "quick"):
                asked = f"0.05,{client},{number}"
                with server.wire(timeout=30) as wire:
                    reply = wire.exchange(f"/{path}?{asked}", "Connection: close")
                    wire.expect_closed()
                if reply.status != 504 and (reply.status, reply.text) != (200, asked):
                    wrong.append((path, asked, reply))

    with ThreadPoolExecutor(threads) as clients:
        list(clients.map(ask, range(threads)))
    assert not wrong, wrong[:3]
    interrupted, log = notes(server, 1), server.log()
    late = set(re.findall(r"the request GET (/\S+) has been in the application", log))
    assert late >= set(interrupted) and len(set(interrupted)) == len(interrupted)
    assert "Traceback" not in log and "ignored" not in log
    assert len(server.ready()) == 1


def test_of_requests_that_follow_on_a_connection_the_thread_is_known_that_each_runs_in(start, gate):
    server = start(2, "--timeout", "500ms")
    # While the first one stays in one thread, the other thread takes the events and leaves them again, each time for a moment.
    # So the first mostly comes back while those are left, and its thread runs the second.
    with Load(server.address, "/nap?0.001", connections=1, pause=0) as load:
        for number in range(6):
            with server.wire() as wire:
                wire.get(f"/stay?{gate.path}")
                gate.wait_inside(number + 1)
                wire.get(f"/where?{number}")
                # So that it is known to have come.
                load.wait_answered(3)
                gate.let_go()
                assert (wire.reply().status, wire.reply().status) == (200, 504)
                told = rf"while the request GET /where\?{number} is late.*\nThread (\S+) .* which is late.*\n(?: .*\n)*? .*in hang_\w+"
                thread = server.wait_log(told)[1]
                assert notes(server, 1) == [[str(number), thread]]
        load.wait_answered(10)
    assert (set(load.statuses), load.lost) == ({200}, [])
    expect_serving(server, 2)


def test_an_exception_that_could_not_be_raised_any_more_hits_no_later_request(start):
    server = start(1)
    for _ in range(3):
        with server.wire() as wire:
            assert wire.exchange("/closing-in-c").body == b"whole"
        for number in range(5):
            assert server.get(f"/quick?{number}").text == str(number)
    server.wait_log("the request GET /closing-in-c has come back from the application", count=3)
    assert server.get("/notes").json == [] and "Traceback" not in server.log()


@on_each_python
def test_an_exception_that_could_not_be_raised_any_more_leaves_the_interpreter_as_it_was(start, python):
    python.require()
    server = start(1, interpreter=python)
    with server.wire() as wire:
        assert wire.exchange("/closing-in-c").body == b"whole"
    server.wait_log("the request GET /closing-in-c has come back from the application")
    # CPython 3.11 never gets on with this while it believes that there is something to raise.
    assert server.get("/profiled").text == "profiled"
    assert "Traceback" not in server.log()


@on_each_python
def test_nor_does_one_that_waits_to_be_raised_keep_others_from_their_work(start, gate, python):
    python.require()
    server = start(2, interpreter=python)
    with server.wire(timeout=30) as wire:
        # In one call of C code's.
        wire.get(f"/stay?{gate.path},wait")
        gate.wait_inside()
        assert wire.reply().status == 504
        server.wait_log("What Python is doing while the request GET /stay")
        for _ in range(3):
            assert server.get("/profiled").text == "profiled"
        gate.open()
    server.wait_log(r"request GET /stay\?\S+ was interrupted after its timeout")
    assert server.get("/profiled").text == "profiled"


@on_each_python
def test_an_exception_that_the_application_swallowed_is_not_raised_again(start, python):
    python.require()
    server = start(1, interpreter=python)
    assert server.get("/swallow-once?one").status == 504
    found = notes(server, 3)
    assert [found[0], found[2]] == [["one", INTERRUPTED], "went on"]
    server.wait_log(r"the request GET /swallow-once\?one has come back from the application")
    assert [server.get(f"/quick?{number}").text for number in range(5)] == list("01234")
    assert server.get("/profiled").text == "profiled"
    assert server.get("/notes").json == [] and "Traceback" not in server.log()


def test_other_requests_are_answered_while_some_time_out(start):
    server = start(4)
    with ThreadPoolExecutor(3) as clients, server.wire(timeout=30) as wire:
        late = [clients.submit(server.get, f"/{hang}?one") for hang in ("between", "between", "python")]
        while not all(each.done() for each in late):
            assert wire.exchange("/quick?1,other").text == "1,other"
        assert [each.result().status for each in late] == [504] * 3
    expect_serving(server, 4)


def test_a_request_that_is_answered_before_it_could_begin_is_not_run(start, gate):
    server = start(3, "--timeout-grace", "4")
    with ExitStack() as stack:
        holds, runs, hangs = (stack.enter_context(server.wire(timeout=30)) for _ in range(3))
        holds.get(f"/stay?{gate.path},lock")
        gate.wait_inside()
        # These have threads, which wait for the interpreter's lock.
        runs.get("/note?run-all-the-same")
        hangs.get("/between?run-all-the-same")
        assert [wire.reply().status for wire in (holds, runs, hangs)] == [504] * 3
        gate.open()
        for name in ("stay", "note", "between"):
            server.wait_log(rf"the request GET /{name}\?\S* has come back from the application", 20)
    assert server.get("/notes").json == []
    expect_serving(server, 3)


@threads_1_or_4
def test_nor_is_one_that_a_thread_of_the_applications_own_has_kept_from_beginning(start, gate, second_gate, threads):
    server = start(threads)
    assert server.get(f"/leave-behind?{gate.path};{second_gate.path},lock").status == 200
    gate.wait_inside()
    gate.open()
    # From now on nobody else has the interpreter's lock.
    second_gate.wait_inside()
    with ExitStack() as stack:
        wires = [stack.enter_context(server.wire(timeout=30)).get("/note?in-vain") for _ in range(threads)]
        assert [wire.reply().status for wire in wires] == [504] * threads
        # One that comes then waits for a thread.
        later = stack.enter_context(server.wire(timeout=30)).get("/note?later")
        second_gate.open()
        assert later.reply().json == "later"
    server.wait_log(r"the request GET /note\?in-vain has come back from the application", count=threads)
    assert server.get("/notes").json == ["later"]
    assert "was interrupted" not in server.log() and "What Python is doing" not in server.log()
    expect_serving(server, threads)
