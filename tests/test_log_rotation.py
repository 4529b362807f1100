"""The log is rotated: moved away, and opened anew on USR1 by every process, without a line lost or one in the wrong file."""

import os
import re
import signal

import pytest

from harness import Load, wait_until
from harness.processes import open_files

pytestmark = pytest.mark.tapster
preload_or_not = pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no_preload", "preload"])


def files_of(server, pids):
    """Which files in the server's folder each of the processes has open."""
    folder = str(server.cwd)
    return {pid: {path for path in open_files(pid).values() if path.startswith(f"{folder}/error")} for pid in pids}


def start(serve, tmp_path, *options, **more):
    """A server that logs to a file, once its workers are ready."""
    log = tmp_path / "error.log"
    server = serve("ops:application", "--error-logfile", log, *options, wait=False, **more)
    workers = server.workers
    wait_until(lambda: log.exists() and log.read_text().count("Worker ready") >= workers, 20, "the server is ready")
    found = re.findall(r"(?:Worker|Template) ready \((?:slot: \d+, )?pid: (\d+)", log.read_text())
    return server, log, [server.pid, *map(int, found)]


def wait_moved(server, pids, path):
    """Waits until every process has only that file of the log open."""
    wait_until(
        lambda: all(files == {str(path)} for files in files_of(server, pids).values()),
        what=lambda: f"all have {path} open: {files_of(server, pids)}",
    )


@preload_or_not
def test_after_usr1_all_processes_write_to_the_new_file_and_none_to_the_old(serve, tmp_path, preload):
    server, log, pids = start(serve, tmp_path, *preload, workers=2)
    assert len(pids) == 4, "the arbiter, the template and two workers"
    moved = log.rename(tmp_path / "error.log.1")
    server.send(signal.SIGUSR1)
    wait_moved(server, pids, log)
    assert re.search(r"SIGUSR1 from pid \d+ .*: the log \S+error\.log has been opened anew", log.read_text())
    old = moved.read_text()
    server.get("/complain?a-word")
    wait_until(lambda: "a-word" in log.read_text(), what="what the application writes to wsgi.errors is there")
    with pytest.raises(OSError):
        server.get("/abort")
    wait_until(lambda: "Fatal Python error: Aborted" in log.read_text(), what="what faulthandler writes is there")
    wait_until(lambda: log.read_text().count("Worker ready") == 1, 15, "the new worker's line is there")
    assert server.stop() == 0
    assert "Tapster has stopped" in log.read_text()
    assert moved.read_text() == old


def test_no_line_is_lost_while_the_log_is_rotated_under_load(serve, tmp_path):
    server, log, pids = start(serve, tmp_path, "--threads", "4", workers=2)
    with Load(server.address, path="/complain?counted", connections=8) as load:
        for number in range(10):
            load.wait_answered(100)
            log.rename(tmp_path / f"error.log.{number}")
            server.send(signal.SIGUSR1)
            wait_moved(server, pids, log)
    assert not load.lost
    assert server.stop() == 0
    written = "".join(path.read_text() for path in tmp_path.glob("error.log*"))
    assert written.count("counted\n") == load.answered
    assert all(re.fullmatch(r"\[.*|counted|", line) for line in written.split("\n")), "no line is torn"


def test_usr1_to_a_worker_opens_the_log_of_that_worker_alone(serve, tmp_path):
    server, log, pids = start(serve, tmp_path, workers=2)
    moved = log.rename(tmp_path / "error.log.1")
    *others, worker = pids
    os.kill(worker, signal.SIGUSR1)
    wait_moved(server, [worker], log)
    assert all(files == {str(moved)} for files in files_of(server, others).values())
    assert server.get("/hello").status == 200


def test_a_log_that_cannot_be_opened_anew_goes_on_where_it_was_and_says_so(serve, tmp_path):
    server, log, pids = start(serve, tmp_path, workers=1)
    moved = log.rename(tmp_path / "error.log.1")
    log.mkdir()
    server.send(signal.SIGUSR1)
    pattern = r"the log \S+error\.log can't be opened anew, and goes on in the file that it had: "
    wait_until(lambda: len(re.findall(pattern, moved.read_text())) == len(pids), what="each process has said so")
    server.get("/complain?still-here")
    wait_until(lambda: "still-here" in moved.read_text(), what="nothing is lost")
    log.rmdir()
    server.send(signal.SIGUSR1)
    wait_moved(server, pids, log)


def test_usr1_changes_nothing_where_the_log_is_the_standard_error_stream(serve):
    server = serve("ops:application", "--log-level", "debug", workers=2)
    workers = server.worker_pids()
    server.send(signal.SIGUSR1)
    server.wait_log(r"the log is the standard error stream", count=4)
    assert server.worker_pids() == workers and server.get("/hello").status == 200


def test_workers_of_a_template_that_has_reopened_the_log_write_to_the_new_file(serve, tmp_path):
    server, log, pids = start(serve, tmp_path, workers=1)
    log.rename(tmp_path / "error.log.1")
    server.send(signal.SIGUSR1)
    wait_moved(server, pids, log)
    server.send(signal.SIGTTIN)
    wait_until(lambda: "Worker ready" in log.read_text(), 15, "another worker")
    newcomer = int(re.findall(r"Worker ready \(slot: \d+, pid: (\d+)", log.read_text())[-1])
    assert newcomer not in pids
    wait_moved(server, [newcomer], log)


def test_a_reload_to_a_log_that_is_a_pipe_that_nobody_reads_is_rolled_back(serve, tmp_path):
    server = serve("ops:application", settings="", workers=1)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    server.write_settings(f"error_logfile = '{pipe}'\n")
    server.send(signal.SIGHUP)
    server.wait_log(r"The settings can't be loaded; generation 1 goes on: can't open the log \S+pipe: No such device")
    assert server.get("/hello").status == 200
    server.write_settings("")
    server.reload()


def test_a_hup_when_the_reader_of_a_log_that_is_a_pipe_has_gone_holds_up_nobody(serve, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    server = serve("ops:application", "--error-logfile", pipe, wait=False, workers=1)
    said = b""

    def is_ready():
        nonlocal said
        try:
            said += os.read(reader, 65536)
        except BlockingIOError:
            pass
        return b"Worker ready" in said

    wait_until(is_ready, 20, lambda: f"the server is ready: {said}")
    os.close(reader)
    server.send(signal.SIGHUP)
    assert server.stop() == 0
