"""What belongs to a request goes with it, and Python's development mode finds nothing to warn of in the server's doings."""

import os

import pytest

from harness import wait_until
from harness.interpreters import on_every_interpreter
from harness.processes import open_files

pytestmark = pytest.mark.tapster

APP = """
import gc

gc.disable()

def application(environ, start_response):
    if environ["PATH_INFO"] == "/cycle":
        # As frameworks do: what is in it goes only when a garbage collector finds it.
        environ["mine"] = environ
    if environ["PATH_INFO"] == "/fail":
        raise RuntimeError("fails")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/file":
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    if environ["PATH_INFO"] == "/stream":
        return (bytes(part) for part in (environ["wsgi.input"].read(5), b"", b"end"))
    return [b"hello"]
"""
#: Of which the server keeps one in memory, and the other in a file.
SIZES = (10, 3 << 20)


@pytest.fixture(params=on_every_interpreter("resources"))
def server(request, serve, tmp_path):
    """One worker in development mode, with an application that leaves everything lying about."""
    request.param.require()
    (tmp_path / "careless.py").write_text(APP)
    env = {"PYTHONDEVMODE": "1"}
    options = ["--threads", "2", "--pythonpath", tmp_path]
    return serve("careless:application", *options, interpreter=request.param, env=env)


def test_no_upload_stays_open_that_an_application_has_left_to_the_garbage_collector(server):
    pid = server.live()[0].pid
    assert server.request("POST", "/cycle", b"x" * SIZES[1]).status == 200
    before = len(open_files(pid))
    for _ in range(20):
        assert server.request("POST", "/cycle", os.urandom(SIZES[1])).status == 200
    wait_until(lambda: len(open_files(pid)) <= before, what=lambda: f"{before} open files: {open_files(pid)}")


def test_development_mode_finds_nothing_to_warn_of(server):
    for path in ("/", "/cycle", "/file", "/stream", "/fail"):
        for size in SIZES:
            status = 500 if path == "/fail" else 200
            assert server.request("POST", path, b"x" * size).status == status
            assert server.get(path).status == status
    assert server.stop() == 0
    assert "Warning" not in server.log()
