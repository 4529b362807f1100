"""`tapster.client_disconnected`: an application may ask whether anybody still waits for its reply."""

import pytest

from harness import wait_until
from harness.interpreters import on_every_interpreter

pytestmark = pytest.mark.tapster


@pytest.fixture(scope="module", params=on_every_interpreter("disconnected"))
def server(request, serve_module):
    """One worker with the application that asks, shared by the tests of one CPython."""
    request.param.require()
    return serve_module("disconnected:application", "--keep-alive", "30", interpreter=request.param)


def test_a_client_that_waits_is_there(server):
    with server.wire() as wire:
        assert wire.exchange("/there").text == "False,False,False"
        # So is one that has sent its next request already.
        wire.get("/there").get("/hello")
        assert wire.reply().text == "False,False,False"
        assert wire.reply().text == "hello"


@pytest.mark.parametrize("bind", ["tcp", "unix"])
@pytest.mark.parametrize("how", ["closes", "resets", "ends its direction"])
def test_a_client_that_leaves_is_seen_to_leave(serve, tmp_path, bind, how):
    server = serve("disconnected:application", bind=None if bind == "tcp" else f"unix:{tmp_path}/s.sock")
    note = tmp_path / "note"
    wire = server.wire()
    wire.get(f"/wait?{note}")
    wait_until(note.exists, what="the application has begun")
    assert note.read_text() == ""
    if how == "ends its direction":
        wire.finish_sending()
    elif how == "resets":
        wire.reset()
    else:
        wire.close()
    wait_until(lambda: note.read_text() == "True", what="the application has seen it")
    wire.close()
    assert server.get("/hello").status == 200


@pytest.mark.parametrize("bind", ["tcp", "unix"])
def test_a_client_that_only_ends_its_direction_is_taken_for_gone_and_gets_its_replies_all_the_same(serve, tmp_path, bind):
    server = serve("disconnected:application", bind=None if bind == "tcp" else f"unix:{tmp_path}/s.sock")
    note = tmp_path / "note"
    with server.wire() as wire:
        wire.get(f"/wait?{note}").get("/there").get("/hello").finish_sending()
        assert wire.reply().text == "waited"
        assert note.read_text() == "True"
        assert wire.reply().text == "True,True,True"
        assert wire.reply().text == "hello"
        wire.expect_closed()


def test_it_can_be_asked_in_close(server, tmp_path):
    note = tmp_path / "note"
    with server.wire() as wire:
        assert wire.exchange(f"/in-close?{note}").text == "body"
        wait_until(lambda: note.exists() and note.read_text(), what="close() has been called")
        assert note.read_text() == "False"
        wire.expect_open()


def test_another_thread_may_not_ask(server):
    (outcome,) = server.get("/from-thread").json
    assert outcome.startswith("AssertionError: client_disconnected() was called from another thread")


@pytest.mark.parametrize("how", ["function", "environ"])
def test_after_the_request_the_client_is_gone_whoever_asks(server, how):
    with server.wire() as wire:
        for _ in range(3):
            assert wire.exchange(f"/keep?{how}").json == ["kept"]
        own, *kept = wire.exchange("/ask-kept").json
        assert (own, kept) == ("False", ["True"] * 6)


def test_an_environ_that_is_left_to_the_garbage_collector_does_no_harm(server):
    with server.wire() as wire:
        for _ in range(2000):
            assert wire.exchange("/keep-in-cycle").json == ["False"]
        wire.expect_open()


def test_what_an_application_has_put_into_its_environ_stays(server):
    with server.wire() as wire:
        assert wire.exchange("/replaced").json == ["replaced"]
        assert wire.exchange("/is-mine").json == ["mine", "mine"]
