"""More workers, fewer, none: TTIN, TTOU and WINCH, and what a reload makes of them."""

import fcntl
import os
import pty
import signal
import struct
import termios
import threading

import pytest

from harness import Server, wait_until

pytestmark = pytest.mark.tapster


def test_ttin_is_kept_by_hup_until_the_settings_have_another_number(serve):
    server = serve("ops:application", workers=None, settings="workers = 1\n")
    server.send(signal.SIGTTIN)
    wait_until(lambda: len(server.live()) == 2, what="two workers")
    server.reload(workers=2)
    server.wait_log("2 workers remain wanted, as signals have asked; workers = 1")
    server.write_settings("workers = 3\n")
    server.reload(workers=3)
    server.wait_log("workers = 3, no longer 1: what signals have asked for .2 workers. is forgotten")


@pytest.mark.parametrize("preload", [False, True], ids=["no_preload", "preload"])
def test_winch_sends_all_workers_away_and_connections_wait_until_hup(serve, preload):
    server = serve("ops:application", *(["--preload"] if preload else []), workers=2)
    template = server.template_pid()
    server.send(signal.SIGWINCH)
    wait_until(lambda: server.tree() == {server.pid, template}, what="the arbiter and its template are left")
    replies = []
    waiting = threading.Thread(target=lambda: replies.append(server.get("/hello", timeout=20)))
    waiting.start()
    server.reload()
    waiting.join(20)
    assert [reply.status for reply in replies] == [200]
    wait_until(lambda: len(server.tree()) == 4, what="arbiter, template and two workers")


def test_a_hup_that_fails_after_winch_brings_the_old_workers_back(serve):
    server = serve("ops:application", workers=2)
    server.send(signal.SIGWINCH)
    wait_until(lambda: not server.live(), what="no worker is left")
    server.write_settings("workers = = 1\n")
    server.send(signal.SIGHUP)
    server.wait_log("The settings can't be loaded; generation 1 goes on")
    wait_until(lambda: len(server.live()) == 2, what="two workers")
    assert server.get("/hello").status == 200


def test_winch_while_it_rolls_leaves_none_of_either_generation(serve):
    server = serve("ops:application", workers=3)
    server.send(signal.SIGHUP)
    server.wait_log("Generation 2 serves")
    server.send(signal.SIGWINCH)
    server.wait_log("The reload is complete")
    wait_until(lambda: not server.live(), what="no worker is left")
    server.reload()


def test_a_terminal_that_changes_its_size_changes_nothing(tmp_path):
    master, slave = pty.openpty()
    server = Server("ops:application", cwd=tmp_path)
    try:
        # The terminal's own signals go to the group in the foreground, which is the session's that takes it over.
        server.start(preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0))
        before = server.worker_pids()
        for rows in (40, 50):
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 100, 0, 0))
        server.send(signal.SIGTTIN)
        wait_until(lambda: len(server.live()) == 2, what="a later signal is acted upon")
        assert before <= server.worker_pids()
        assert "SIGWINCH" not in server.log()
    finally:
        server.close()
        os.close(master)
        os.close(slave)
