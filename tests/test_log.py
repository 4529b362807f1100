"""What an operator finds in the log, on the standard error stream and in `error_logfile`."""

import pytest

from harness import Truncated, wait_until

pytestmark = pytest.mark.tapster


def test_a_worker_that_timed_out_leaves_its_python_stack_in_the_log(serve):
    server = serve("ops:application", "--timeout", "1")
    with server.wire(timeout=20) as wire, pytest.raises(Truncated):
        wire.exchange("/sleep?60")
    server.wait_log("WORKER TIMEOUT")
    server.wait_log(r'File ".*ops\.py", line \d+ in sleep')


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no_preload", "preload"])
def test_error_logfile_gets_the_servers_lines_the_applications_and_the_stacks(serve, tmp_path, preload):
    file = tmp_path / "error.log"
    server = serve("conformance:application", "--error-logfile", file, "--timeout", "1", *preload, wait=False)

    def text():
        return file.read_text() if file.exists() else ""

    wait_until(lambda: "Worker ready" in text(), 20, "the server's lines are in the file")
    assert server.get("/errors").status == 200
    wait_until(lambda: "errors: another line" in text(), what="what the application wrote to wsgi.errors is in the file")
    with server.wire(timeout=20) as wire, pytest.raises(Truncated):
        wire.exchange("/sleep?60")
    wait_until(lambda: "WORKER TIMEOUT" in text() and "conformance.py" in text(), what="the stack is in the file")
