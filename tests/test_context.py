"""Context variables: each request has a context of its own, which holds from the call to close(), in every thread."""

import threading

import pytest

from harness import wait_until
from harness.interpreters import on_every_interpreter

# gunicorn's requests share the context of their thread.
pytestmark = pytest.mark.tapster


@pytest.fixture(scope="module", params=on_every_interpreter("context"))
def server(request, serve_module):
    """One worker with the application that uses context variables, shared by the tests of one CPython."""
    request.param.require()
    return serve_module("contexts:application", "--keep-alive", "30", interpreter=request.param)


def test_no_request_sees_what_another_has_set(server):
    with server.wire() as wire:
        for _ in range(5):
            assert wire.exchange("/see").json[2] == "unset"
    assert server.get("/see").json[2] == "unset"


@pytest.mark.parametrize("preload", [True, False])
@pytest.mark.parametrize("threads", [1, 4])
def test_what_was_set_before_serving_holds_for_all_requests_of_all_threads(serve, preload, threads):
    server = serve("contexts:application", "--threads", str(threads), *(["--preload"] if preload else []))
    seen = [server.get("/see").json for _ in range(5)]
    # Four at a time use as many threads.
    if threads == 4:
        ask_together(server, "/interleaved")
        seen += [server.get("/see").json for _ in range(20)]
    assert {tuple(each[:3]) for each in seen} == {("import", "post_fork", "unset")}


def test_what_the_call_sets_is_seen_by_the_body_and_by_close(server):
    for name in ("first", "second"):
        assert server.get(f"/whole?{name}").text == f"{name},{name}+,{name}++,"
        wait_until(lambda name=name: server.get(f"/seen-by-close?{name}").text == f"{name}+++", what="close() saw it")


def test_a_generator_keeps_what_it_sets_from_block_to_block_and_no_longer(server):
    for _ in range(2):
        assert server.get("/generator").text == "unsetset"


def ask_together(server, path):
    """Four requests at a time; what each was answered, by its name."""
    answers = {}

    def ask(name):
        answers[name] = server.get(f"{path}?name={name}").text

    threads = [threading.Thread(target=ask, args=(f"client-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_requests_that_run_at_the_same_time_see_each_their_own(serve):
    server = serve("contexts:application", "--threads", "4")
    for _ in range(3):
        answers = ask_together(server, "/interleaved")
        assert answers == {name: name * 2 for name in (f"client-{number}" for number in range(4))}


def test_what_only_a_requests_context_holds_is_gone_with_the_request(server):
    assert server.get("/hold").text == "held"
    assert server.get("/held").text == "no"


@pytest.fixture(scope="module", params=on_every_interpreter("tokens"))
def bare(request, serve_module):
    """The same with an application that sets no variable before it serves."""
    request.param.require()
    return serve_module("tokens:application", "--keep-alive", "30", interpreter=request.param)


def test_a_context_that_was_left_as_it_was_found_is_as_new_to_the_next_request(bare):
    for _ in range(3):
        assert bare.get("/sets-and-undoes").text == "undone"
        assert bare.get("/see").text == "unset"


def test_a_token_of_one_request_undoes_nothing_in_the_next(bare):
    with bare.wire() as wire:
        assert wire.exchange("/keeps-a-token").text == "kept"
        assert "was created in a different Context" in wire.exchange("/uses-the-token").text
        assert wire.exchange("/see").text == "unset"


def test_the_precision_of_decimal_numbers_does_not_leak(server):
    assert [server.get("/precision").text for _ in range(3)] == ["28"] * 3


def test_a_request_that_fails_leaves_nothing_behind(server):
    assert server.get("/fails").status == 500
    assert server.get("/see").json[2] == "unset"


def test_a_copy_of_a_requests_context_may_outlive_it(server, tmp_path):
    written = tmp_path / "written"
    assert server.get(f"/in-thread?{written}").text == "started"
    wait_until(lambda: written.exists() and written.read_text() == "of the request", what="the thread has seen it")
