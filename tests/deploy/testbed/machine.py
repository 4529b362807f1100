"""A machine of its own: systemd booted as pid 1 from the Debian tree by systemd-nspawn.

It shares the host's network, so it is asked on 127.0.0.1. What it writes is in memory and gone with it.
"""

import os
import signal
import subprocess
from pathlib import Path

from harness import wait_until
from harness.processes import children

from .tools import BOUND_TO_THE_TESTS, run

BOOT_DEADLINE_S = 60
STOP_DEADLINE_S = 60


class Machine:
    """Booted and powered off by `with`. `shared` maps folders of the host to their places in the machine."""

    def __init__(self, tree: Path, log: Path, shared: dict):
        self._name = f"tapster-test-{os.getpid()}"
        self._log = log
        self._nspawn = None
        self._init = None
        # The root is an overlay in memory: the tree is never written to, and nothing is left to clean up.
        self._command = [*BOUND_TO_THE_TESTS, "systemd-nspawn", "--volatile=overlay", f"--directory={tree}"]
        self._command += ["--quiet", "--register=no", "--keep-unit", f"--machine={self._name}"]
        self._command += [f"--bind={host}:{place}" for host, place in shared.items()]
        self._command += ["--boot", "--console=pipe"]

    def __enter__(self):
        with self._log.open("wb") as log:
            self._nspawn = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            wait_until(self._booted, BOOT_DEADLINE_S, lambda: f"machine booted; its console:\n{self.console()}", 0.05)
        except BaseException:
            self._power_off()
            raise
        return self

    def __exit__(self, *_):
        self._power_off()

    def run(self, *command, check=True, deadline=60):
        """Runs a command inside, as root, and returns it done, with its text in `stdout`."""
        enter = ["nsenter", f"--target={self._init}", "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--"]
        return run(*enter, *command, check=check, deadline=deadline, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    def shell(self, script):
        """Runs a few lines of shell inside; the first that fails is a failure."""
        return self.run("sh", "-euxc", script)

    def console(self):
        """What the machine has written to its console."""
        return self._log.read_text(errors="replace")

    def _booted(self):
        assert self._nspawn.poll() is None, f"systemd-nspawn exited; its console:\n{self.console()}"
        init = next(iter(children(self._nspawn.pid)), None)
        if init is None:
            return False
        self._init = init
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def _power_off(self):
        """systemd-nspawn takes TERM as the machine's power button."""
        if self._nspawn.poll() is None:
            self._nspawn.send_signal(signal.SIGTERM)
        try:
            self._nspawn.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait(STOP_DEADLINE_S)
