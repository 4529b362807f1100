"""A server as a tree of processes: started on one core, asked what CPU time it has used, stopped.

Every wait has a deadline. Only process groups that were started here are ever killed.
"""

import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

STOP_DEADLINE_S = 10.0
#: A server that uses less than this share of a CPU for so long has nothing left to do but what clients go on sending.
_QUIET_S = 0.4
_QUIET_SHARE = 0.1


class ServerFailed(Exception):
    """The server did not start, or did not stay up; says why."""

    def __init__(self, why: str, *, has_log: bool = False) -> None:
        super().__init__(why)
        #: Whether the end of the server's log is already told.
        self.has_log = has_log


@contextmanager
def running(argv: list[str], cwd: Path, cpu: int | str, log: Path, more: dict[str, str], stop_s: float = STOP_DEADLINE_S):
    """Runs a server pinned to one CPU, or to a list of them, for the length of a `with` block, and yields its Popen.

    Its environment is this program's, less what servers take settings from, and `more`.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("TAPSTER_", "GUNICORN_"))}
    # Settings that some of the servers would take from a hosting platform's environment.
    for name in ("PORT", "WEB_CONCURRENCY"):
        environment.pop(name, None)
    environment.update(more)
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["taskset", "-c", str(cpu), *argv],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        _stop(server, stop_s)


def cpu_seconds(root: int) -> dict[int, float]:
    """CPU time (user + system) of each process of the tree under `root`, by pid.

    From the kernel's CPU clock of each process: the sum that `/proc/PID/stat` shows as utime + stime, in nanoseconds
    instead of ticks, with the threads that have ended counted in.
    """
    return {pid: own_cpu_seconds(pid) for pid in tree(root)}


def own_cpu_seconds(pid: int) -> float:
    """CPU time of one process, without those that it has started."""
    return time.clock_gettime(_cpu_clock(pid))


def memory_kib(root: int) -> int:
    """Memory of the tree under `root`: the sum of its processes' proportional set sizes (PSS).

    What two of them share counts once, and a page that one of them has come to own counts as one more. Memory of the
    kernel's, as sockets have it, is not in it.
    """
    return sum(own_memory_kib(pid) for pid in tree(root))


def own_memory_kib(pid: int) -> int:
    """The proportional set size of one process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def wait_until_quiet(root: int, deadline_s: float) -> None:
    """Returns when the tree under `root` uses next to no CPU any more, or after the deadline: it may never rest."""
    end = time.monotonic() + deadline_s
    before = sum(cpu_seconds(root).values())
    while time.monotonic() < end:
        time.sleep(_QUIET_S)
        after = sum(cpu_seconds(root).values())
        if after - before < _QUIET_SHARE * _QUIET_S:
            return
        before = after


def tree(root: int) -> list[int]:
    """`root` and all its descendants."""
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def last_line(log: Path) -> str:
    """The last line that a server has written, for the reason of a failure."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip()[:160] if lines else "it wrote nothing"


def _cpu_clock(pid: int) -> int:
    # How Linux numbers the CPU clock of another process: clock_getcpuclockid(3) computes the same.
    return (~pid << 3) | 2


def _stop(server: subprocess.Popen, deadline_s: float) -> None:
    if server.poll() is None:
        server.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.wait(deadline_s)
    # Also reaches a worker that has outlived its parent.
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait(STOP_DEADLINE_S)
