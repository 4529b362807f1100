"""A worker whose end takes so long that the log tells why: it ends in order even while that is being told."""

import pytest

from harness.interpreters import INTERPRETERS

pytestmark = pytest.mark.tapster
on_each_python = pytest.mark.parametrize("python", INTERPRETERS, ids=lambda each: each.name)

#: An application whose function of that kind returns while the log is being told the stacks, for which the interpreter's lock
#: is taken and given away often.
ENDS_MEANWHILE = """
import atexit, threading, time, traceback
import tapster
telling, extract = threading.Event(), traceback.extract_stack
def extract_slowly(*arguments):
    telling.set()
    for _ in range(100):
        time.sleep(0.002)
    return extract(*arguments)
traceback.extract_stack = extract_slowly
def application(environ, start_response):
    start_response("200 OK", [])
    return []
{registered}
@{kind}
def end():
    telling.wait(1.5)
"""


def end_meanwhile(serve, folder, python, kind, registered=""):
    """A worker ends in order although its slow end is just being told."""
    python.require()
    (folder / "slow_end.py").write_text(ENDS_MEANWHILE.format(kind=kind, registered=registered))
    server = serve("slow_end:application", "--pythonpath", folder, interpreter=python)
    assert server.get("/").status == 200
    assert server.stop() == 0
    assert "Fatal Python error" not in server.log() and "killed by" not in server.log()
    return server


@on_each_python
@pytest.mark.parametrize("kind", ["atexit.register", "tapster.worker_exit"])
def test_a_worker_ends_in_order_while_its_slow_end_is_told(serve, tmp_path, python, kind):
    server = end_meanwhile(serve, tmp_path, python, kind)
    server.wait_log("the worker has not ended 1s after its requests were done")


@on_each_python
@pytest.mark.parametrize(
    "forgets",
    [
        "tapster.post_fork(atexit._clear)",
        "tapster.post_fork(atexit._run_exitfuncs)",
        "tapster.worker_exit(atexit._clear)",
        "tapster.worker_exit(atexit._run_exitfuncs)",
        "atexit.register(atexit._clear)",
    ],
)
def test_so_it_does_where_the_application_makes_python_forget_its_exit_functions(serve, tmp_path, python, forgets):
    server = end_meanwhile(serve, tmp_path, python, "tapster.worker_exit", forgets)
    server.wait_log("the worker has not ended 1s after its requests were done")


#: An exit function whose child, a fork, returns from it and ends as Python does.
FORKS = """
import os
@atexit.register
def fork():
    child = os.fork()
    if child and os.waitpid(child, 0)[1]:
        print("the child failed")
"""


@on_each_python
def test_a_process_that_is_forked_meanwhile_does_not_wait_for_its_parents_threads(serve, tmp_path, python):
    server = end_meanwhile(serve, tmp_path, python, "tapster.worker_exit", FORKS)
    assert "the child failed" not in server.log()
