"""`wsgi.early_hints`: replies 103 that leave before the final one, as gunicorn has them."""

import pytest

from harness.interpreters import on_every_interpreter

tapster = pytest.mark.tapster
LINK = "</style.css>; rel=preload; as=style"


@pytest.fixture(scope="module", params=on_every_interpreter("early-hints"))
def server(request, serve_module):
    """One worker with the application that sends hints, shared by the tests of one CPython."""
    request.param.require()
    return serve_module("hints:application", "--keep-alive", "30", interpreter=request.param)


def test_a_hint_leaves_before_the_application_goes_on(server, tmp_path):
    gate = tmp_path / "gate"
    with server.wire() as wire:
        hint = wire.get(f"/one?{gate}").reply()
        assert (hint.status, hint.reason, hint.headers) == (103, "Early Hints", [("Link", LINK)])
        gate.touch()
        final = wire.reply()
        assert (final.status, final.body, final.header("link")) == (200, b"final", None)
        wire.expect_open()


def test_there_may_be_many_until_the_head_leaves(server):
    with server.wire() as wire:
        wire.get("/many")
        hints = [wire.reply() for _ in range(3)]
        assert [hint.status for hint in hints] == [103] * 3
        assert [hint.headers for hint in hints] == [
            [("Link", LINK), ("X-Hint", "1")],
            [("X-Hint-0", "2"), ("X-Hint-1", "2")],
            [],
        ]
        assert wire.reply().json == ["None"] * 3
        wire.expect_open()


def test_a_generator_may_send_one_before_it_declares_its_reply(server):
    with server.wire() as wire:
        assert wire.get("/in-generator").reply().status == 103
        assert wire.reply().body == b"generated"
        wire.expect_open()


def test_a_head_request_gets_hints_too(server):
    with server.wire() as wire:
        assert wire.get("/one", method="HEAD").reply("HEAD").status == 103
        assert wire.reply("HEAD").status == 200
        wire.expect_open()


def test_a_client_of_http_1_0_gets_none(server):
    with server.wire() as wire:
        assert wire.send("GET /one HTTP/1.0\r\n\r\n").reply().body == b"final"
        wire.expect_closed()


@tapster
@pytest.mark.parametrize("threads", [1, 4])
def test_a_request_that_is_late_behind_a_hint_gets_its_504(serve, tmp_path, threads):
    server = serve("hints:application", "--threads", str(threads), "--timeout", "1", "--timeout-grace", "60")
    with server.wire() as wire:
        assert wire.get(f"/one?{tmp_path / 'never'}").reply().status == 103
        reply = wire.reply()
        assert (reply.status, reply.header("connection"), reply.header("link")) == (504, "close", None)
        wire.expect_closed()
    server.wait_log(r"the request GET /one\?.* longer than timeout = 1s: its client gets a 504")


@tapster
def test_they_are_not_offered_where_that_is_set(serve):
    server = serve("hints:application", "--no-early-hints", "--keep-alive", "30")
    with server.wire() as wire:
        for target in ("/if-offered", "/keep?environ", "/if-offered"):
            reply = wire.exchange(target)
            assert (reply.status, reply.text) == (200, '["kept"]' if "keep" in target else "not offered")
        wire.expect_open()


def test_they_are_offered_as_it_comes(server):
    with server.wire() as wire:
        assert wire.get("/if-offered").reply().status == 103
        assert wire.reply().body == b"offered"


def test_what_is_no_header_raises_and_sends_nothing(server):
    with server.wire() as wire:
        reply = wire.exchange("/bad")
        assert (reply.status, reply.header("x-injected")) == (200, None)
        assert "None" not in reply.json
        wire.expect_open()


@tapster  # gunicorn sends them
def test_headers_of_the_servers_own_raise(server):
    with server.wire() as wire:
        *hop_by_hop, coding, length = wire.exchange("/servers-own").json
        assert all(each.startswith("AssertionError: the response header") and "hop-by-hop" in each for each in hop_by_hop)
        assert coding.startswith("ValueError") and "Transfer-Encoding" in coding
        assert length.startswith("ValueError") and "Content-Length" in length
        wire.expect_open()


@tapster
def test_hop_by_hop_headers_are_left_out_where_that_is_set(serve):
    server = serve("hints:application", "--hop-by-hop-headers", "drop")
    with server.wire() as wire:
        wire.get("/servers-own")
        for _ in range(3):
            hint = wire.reply()
            assert (hint.status, hint.headers) == (103, [])
        assert [each.split(":")[0] for each in wire.reply().json] == ["None"] * 3 + ["ValueError"] * 2
    server.wait_log("sets the response header Connection, .*PEP 3333")


@tapster  # gunicorn does nothing then
def test_a_hint_after_the_head_raises(server):
    with server.wire() as wire:
        reply = wire.exchange("/too-late")
        assert (reply.status, reply.text) == (
            200,
            "first,AssertionError: early_hints() was called after the reply's head had been sent",
        )
        wire.expect_open()


@tapster  # gunicorn lets it
def test_another_thread_may_not_send_one(server):
    with server.wire() as wire:
        (outcome,) = wire.exchange("/from-thread").json
        assert outcome.startswith("AssertionError: early_hints() was called from another thread")
        wire.expect_open()


@tapster  # gunicorn writes to whoever has the connection then
@pytest.mark.parametrize("how", ["function", "environ"])
def test_a_function_that_is_kept_raises_and_is_no_other_requests(server, how):
    with server.wire() as wire:
        for _ in range(3):
            assert wire.exchange(f"/keep?{how}").json == ["kept"]
        assert wire.exchange("/use-kept").json == [
            False,
            *["AssertionError: early_hints() was called after the request was over"] * 3,
        ]
        wire.expect_open()


@tapster
def test_a_reply_that_is_sent_while_hints_are_read_comes_first_and_stays_whole(server):
    with server.wire() as wire:
        reply = wire.exchange("/reentered")
        assert (reply.status, reply.header("link")) == (200, None)
        assert reply.text.startswith("sent,AssertionError: early_hints() was called after the reply's head")
        wire.expect_open()
