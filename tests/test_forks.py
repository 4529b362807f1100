"""Applications that fork: their children are no second server, and hold no client's connection open."""

import pytest

from harness import wait_until
from harness.processes import alive, kill

APP = """
import os, sys, time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/fork"):
        child = os.fork()
        if child == 0:
            if path == "/fork-exit":
                sys.exit(3)
            if path == "/fork-raise":
                raise RuntimeError("in the child")
            if path == "/fork-live":
                time.sleep(float(environ["QUERY_STRING"]))
                os._exit(0)
        else:
            body = str(child).encode()
            if path == "/fork-live":
                start_response("200 OK", [])
                return iter([body])
            os.waitpid(child, 0)
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture
def server(serve, tmp_path):
    (tmp_path / "forking.py").write_text(APP)
    return serve("forking:application", "--keep-alive", "1", "--pythonpath", tmp_path)


@pytest.mark.tapster
@pytest.mark.parametrize("how", ["exit", "raise", "return"])
def test_a_forked_child_that_comes_back_is_no_second_worker(server, how):
    worker = server.live()[0].pid
    with server.wire() as wire:
        child = int(wire.exchange(f"/fork-{how}").text)
        wait_until(lambda: not alive(child), what="the child is gone")
        assert {wire.exchange("/pid").text for _ in range(20)} == {str(worker)}
    assert {server.get("/pid").text for _ in range(20)} == {str(worker)}
    assert "panicked" not in server.log()


@pytest.mark.tapster
def test_connections_end_while_a_forked_child_lives(server):
    with server.wire(timeout=8) as idle, server.wire(timeout=8) as old:
        assert idle.exchange("/pid").status == 200
        old.send("GET /fork-live?30 HTTP/1.0\r\n\r\n")
        child = int(old.reply().text)
        assert alive(child)
        # One has no other end than the connection's, the other is idle for longer than keep_alive.
        old.expect_closed()
        idle.expect_closed()
        assert alive(child)
    kill([child])
