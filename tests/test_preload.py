"""--preload: the application is imported once, in the template, and shared by the workers that are forked from it."""

import threading

import pytest

from harness import wait_until
from harness.processes import kill, stat

pytestmark = pytest.mark.tapster


@pytest.fixture
def imports(tmp_path):
    """Reads the pids that imported the application, in order."""
    path = tmp_path / "imports"
    path.touch()

    def read():
        return [int(pid) for pid in path.read_text().split()]

    read.path = str(path)
    return read


def about(server):
    """What each of the two workers says of itself."""
    found = {}

    def ask():
        reply = server.get("/about").json
        found[reply["pid"]] = reply
        return len(found) == 2

    wait_until(ask, what="both workers were asked", every=0)
    return list(found.values())


def test_preload_imports_the_application_once_in_the_template(serve, imports):
    server = serve("ops:application", "--preload", workers=2, env={"OPS_IMPORTS": imports.path})
    template = server.template_pid()
    assert imports() == [template]
    assert template not in {server.pid, *server.worker_pids()}
    for worker in about(server):
        assert worker["imported_by"] == template
        assert worker["pid"] in server.worker_pids()
        assert worker["parent"] == server.pid, "workers are the arbiter's own children"
        assert worker["frozen"] > 0
        assert worker["gc"] is True
        assert worker["main_thread"] is True
        assert worker["forked"], "os.register_at_fork callbacks ran in the worker"


def test_without_preload_each_worker_imports_the_application_itself(serve, imports):
    server = serve("ops:application", workers=2, env={"OPS_IMPORTS": imports.path})
    assert set(imports()) == server.worker_pids()
    for worker in about(server):
        assert worker["imported_by"] == worker["pid"]
        assert worker["parent"] == server.pid
        assert worker["gc"] is True
        assert worker["main_thread"] is True


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no_preload", "preload"])
def test_two_workers_do_not_share_their_random_numbers(serve, preload):
    first, second = about(serve("ops:application", *preload, workers=2))
    assert first["random"] != second["random"]


def test_a_worker_forked_later_does_not_import_anew(serve, imports):
    server = serve("ops:application", "--preload", env={"OPS_IMPORTS": imports.path})
    victim = server.live()[0].pid
    kill([victim])
    wait_until(lambda: server.worker_pids() - {victim}, what="another worker")
    assert imports() == [server.template_pid()]
    assert server.get("/about").json["imported_by"] == server.template_pid()


def test_the_templates_are_the_arbiters_own_children(serve):
    server = serve("ops:application", "--preload")
    assert stat(server.template_pid())["parent"] == server.pid


def test_threads_started_while_preloading_are_named_in_a_warning(serve):
    server = serve("ops:application", "--preload", env={"OPS_THREAD": "yes"})
    server.wait_log(r"\[WARN(ING)?\].*started-at-import")
    assert server.get("/hello").status == 200


def test_requests_reach_both_workers(serve):
    server = serve("ops:application", "--preload", workers=2)
    seen = set()
    lock = threading.Lock()

    def ask():
        pid = server.get("/sleep?0.2").json
        with lock:
            seen.add(pid)

    def both():
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return seen == server.worker_pids()

    wait_until(both, 10, "requests in parallel were served by both workers")


LIBRARY = """
import sys
SHARED = "decimal" in sys.modules
import secrets

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{SHARED} {secrets.__file__}".encode()]
"""


@pytest.mark.parametrize("own", [False, True], ids=["nothing is hidden", "a module of its own is"])
def test_without_preload_workers_share_the_standard_library_unless_the_application_hides_a_part_of_it(
    serve, tmp_path, own
):
    (tmp_path / "library.py").write_text(LIBRARY)
    if own:
        (tmp_path / "secrets.py").write_text("")
    server = serve("library:app", cwd=tmp_path, workers=2)
    shared, _, path = server.get("/").text.partition(" ")
    assert (shared == "True") is not own
    assert (path == str(tmp_path / "secrets.py")) is own


def test_one_worker_has_nobody_to_share_the_standard_library_with(serve, tmp_path):
    (tmp_path / "library.py").write_text(LIBRARY)
    assert serve("library:app", cwd=tmp_path, workers=1).get("/").text.startswith("False")
