"""A server that is upgraded: the arbiters of one `Server`, which come one after another."""

import os
import re
import signal

from . import processes
from .waiting import wait_until

APPLICATION = '''
import os, time

def application(environ, start_response):
    if environ["QUERY_STRING"]:
        open(environ["QUERY_STRING"], "w").close()
        time.sleep(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{version}"]
'''


def deploy(folder, version, at_import=""):
    """Writes the application, as a deploy does."""
    (folder / "deployed.py").write_text(at_import + APPLICATION.format(version=version))


def arbiters_state(pid):
    """What must not grow: descriptors, and children that nobody reaps."""
    return len(processes.open_files(pid)), processes.zombies(processes.children(pid))


class Upgrades:
    """The arbiters that USR2 makes of a server, the first one's pid first. Use as a context manager: what runs at its end is
    stopped, newest first, before the server itself is checked for leftovers."""

    def __init__(self, server):
        self.server = server
        self.pids = [server.pid]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for pid in reversed(self.pids[1:]):
            processes.kill([pid], signal.SIGTERM)
            wait_until(lambda pid=pid: not processes.alive(pid), 15, lambda: f"the end of pid {pid}: {self.server.tail()}")

    @property
    def old(self):
        """The pid of the arbiter before the newest."""
        return self.pids[-2]

    @property
    def new(self):
        """The newest arbiter's pid."""
        return self.pids[-1]

    def begin(self):
        """USR2 to the newest arbiter; returns the pid of the one that it starts."""
        says = r"\[(\d+)\] \[INFO\] The new server has been started \(pid: (\d+)\)"
        before = len(re.findall(says, self.server.log()))
        os.kill(self.new, signal.SIGUSR2)
        found = self.server.wait_log(says, count=before + 1)
        assert int(found[1]) == self.new
        self.pids.append(int(found[2]))
        return self.new

    def forget(self):
        """The newest has gone."""
        wait_until(lambda: processes.stat(self.new) is None, 15, lambda: f"{self.new} is reaped:\n{self.server.tail()}")
        self.pids.pop()

    def up(self, deadline=20, workers=None):
        """`begin`, and all workers of the new arbiter are ready."""
        self.begin()
        self.wait_up(deadline, workers)
        return self.new

    def wait_up(self, deadline=20, workers=None):
        """All workers of the newest arbiter are ready, `workers` or else as many as the settings say, and the one before knows."""
        self.server.wait_log(rf"The new server serves beside this one \(pid: {self.new}\)", deadline)
        workers = workers or self.server.workers or 1
        wait_until(lambda: len(self.workers(self.new)) == workers, deadline, self.server.tail)

    def hand_over(self, number=signal.SIGQUIT):
        """The old one is stopped, and the new one is alone."""
        os.kill(self.old, number)
        self.wait_alone()

    def wait_alone(self):
        """The new one has taken over."""
        self.server.wait_log(rf"\[{self.new}\] .*The server before this one has gone \(pid: {self.old}\)")
        # A process closes what it has open a moment before it has ended.
        wait_until(lambda: not processes.alive(self.old), 10, "the end of the old one")

    def workers(self, arbiter):
        """The pids of an arbiter's workers that were ready and live."""
        ready = re.findall(rf"\[{arbiter}\] \[INFO\] Worker ready \(slot: \d+, pid: (\d+)", self.server.log())
        return {int(pid) for pid in ready if processes.alive(int(pid))}
