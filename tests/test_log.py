"""What an operator finds in the log, on the standard error stream and in `error_logfile`."""

import re

import pytest

from harness import wait_until
from harness.interpreters import default_interpreter
from harness.server import run_tapster

pytestmark = pytest.mark.tapster


def test_a_worker_that_timed_out_leaves_its_python_stack_in_the_log(serve):
    server = serve("ops:application", "--timeout", "1", "--timeout-grace", "1")
    with server.wire(timeout=20) as wire:
        assert wire.exchange("/sleep?60").status == 504
    server.wait_log(r'What Python is doing while the request GET /sleep\?60 is late:\n(.*\n)*.*ops\.py", line \d+, in sleep')
    server.wait_log("WORKER TIMEOUT")
    server.wait_log(r'Fatal Python error: Aborted\n(.*\n)*  File ".*ops\.py", line \d+ in sleep')


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no_preload", "preload"])
def test_error_logfile_gets_the_servers_lines_the_applications_and_the_stacks(serve, tmp_path, preload):
    file = tmp_path / "error.log"
    options = ["--error-logfile", file, "--timeout", "1", "--timeout-grace", "1", *preload]
    server = serve("conformance:application", *options, wait=False)

    def text():
        return file.read_text() if file.exists() else ""

    wait_until(lambda: "Worker ready" in text(), 20, "the server's lines are in the file")
    assert server.get("/errors").status == 200
    wait_until(lambda: "errors: another line" in text(), what="what the application wrote to wsgi.errors is in the file")
    with server.wire(timeout=20) as wire:
        assert wire.exchange("/sleep?60").status == 504
    wait_until(lambda: "What Python is doing" in text() and "conformance.py" in text(), what="the stack is in the file")

    def last_words():
        return text().partition("WORKER TIMEOUT")[2]

    wait_until(lambda: re.search(r"Aborted\n(.*\n)*.*conformance\.py", last_words()), what="and once more at the end")


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no_preload", "preload"])
def test_a_start_that_hangs_leaves_its_python_stack_in_the_log(tmp_path, preload):
    (tmp_path / "hangs.py").write_text("import time\n\ndef connect():\n    time.sleep(60)\n\nconnect()\n")
    options = ["-b", "127.0.0.1:0", "--boot-timeout", "1", *preload, "--python", default_interpreter().python]
    done = run_tapster(*options, "hangs:app", cwd=tmp_path)
    assert done.returncode == 3
    assert "boot_timeout = 1 s" in done.stderr
    assert 'hangs.py", line 4 in connect' in done.stderr


def test_why_a_server_does_not_start_is_on_the_terminal_where_the_log_takes_nothing(tmp_path):
    ended = run_tapster("--error-logfile", "/dev/full", "--bind", "unix:/no/such/folder/socket", "ops:app", cwd=tmp_path)
    assert ended.returncode == 1
    assert "/no/such/folder/socket" in ended.stderr and "the log can't be written" in ended.stderr
