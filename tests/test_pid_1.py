"""Tapster as process 1, as in a container: which signals it heeds, what it reaps, and what its end is."""

import os
import shutil
import signal

import pytest

from harness import Server, wait_until
from harness.processes import children

pytestmark = [
    pytest.mark.tapster,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="not root, or no unshare"),
]

APP = "ops:application"
#: It ends with its child's status, and its child with it.
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]


class First(Server):
    """A server whose arbiter is process 1 of a namespace. Pids in its log are those of the namespace."""

    def command(self):
        return [*NAMESPACE, *super().command()]

    def send(self, number):
        os.kill(self.arbiter, number)

    @property
    def arbiter(self):
        """Its pid out here."""
        return wait_until(lambda: next(iter(children(self.pid)), None), 20, "the namespace has a process")


@pytest.fixture
def first(tmp_path):
    server = First(APP, cwd=tmp_path, workers=2)
    with server:
        yield server


def _family(server):
    """The template and the workers, as pids out here."""
    return children(server.arbiter)


def test_it_is_process_1(first):
    assert first.get("/about").json["parent"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signals_that_the_kernel_would_ignore_for_it_stop_it_with_status_0(first, number):
    assert first.stop(number) == 0
    assert "Tapster has stopped" in first.log()


def test_hup_reloads_and_what_it_is_not_to_heed_changes_nothing(first):
    before = _family(first)
    for number in (signal.SIGPIPE, signal.SIGTSTP, signal.SIGALRM, signal.SIGXFSZ):
        first.send(number)
    first.send(signal.SIGHUP)
    first.wait_log(r"Worker ready .* generation: 2", count=2, deadline=20)
    wait_until(lambda: len(_family(first)) == 3 and not _family(first) & before, 20, first.tail)
    assert first.get("/hello").status == 200


def test_a_thousand_orphans_that_end_at_once_are_reaped(first):
    family = _family(first)
    assert first.get("/orphans?1000", timeout=60).json == 0
    wait_until(lambda: _family(first) == family, 30, lambda: f"{len(_family(first))} children to be {len(family)}")
    os.kill(max(family), signal.SIGKILL)
    first.wait_log("killed by SIGKILL")
    wait_until(lambda: len(_family(first)) == 3 and _family(first) != family, 20, first.tail)
    assert first.get("/hello").status == 200


def test_orphans_are_ended_with_the_namespace_and_hold_up_no_stop(first):
    first.get("/orphan?3600")
    wait_until(lambda: len(_family(first)) == 4, 20, "the orphan is the arbiter's")
    assert first.stop(signal.SIGTERM) == 0


def test_an_application_that_cant_start_ends_it_with_its_status(tmp_path):
    server = First("ops:missing", cwd=tmp_path).launch()
    server.expected_exit = 4
    server.wait_exit()
    server.close()


def test_it_does_not_go_into_the_background(tmp_path):
    server = First(APP, "--daemon", "--error-logfile", "log", cwd=tmp_path).launch()
    server.expected_exit = 1
    server.wait_exit()
    assert "process 1" in server.log()
    server.close()
