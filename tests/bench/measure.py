"""One measurement: the load on one core, the server on another, and what the server's processes spent meanwhile.

Called by `plain`, `twins` and `crowded`; keeps nothing.
"""

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

from load import Load, put
from processes import ServerFailed, cpu_seconds, own_cpu_seconds

WARM_UP_S = 1
#: For a server to finish what the load has asked for and not waited for: 64 requests of 10 ms by 16 threads take 40 ms.
_SETTLE_S = 0.1


@dataclass(frozen=True)
class Target:
    """A running server, as the load sees it."""

    port: int
    #: Pid at the top of its process tree.
    root: int
    keeps_alive: bool


@dataclass(frozen=True)
class Sample:
    requests: int
    requests_per_s: float
    #: 0 where the load does not measure it.
    p99_us: float
    #: Bytes of bodies; 0 where the load does not count them.
    bytes_per_s: float
    #: Of all the server's processes.
    cpu_s: float
    seconds: float
    #: What the load used of its CPU: at 1.0 it had no more to give, and the server may have waited for it.
    load: float
    #: What other programs used of the CPUs meanwhile: 1.0 is one CPU, all the time.
    others: float
    #: Answers that were no answer: refused, cut, timed out, or with an error status.
    failed: int
    #: What the process `beside` used of a CPU, which it may have taken from the load: 1.0 is one CPU, all the time.
    beside: float

    @property
    def cpu_us_per_request(self) -> float:
        """Of a sample with requests."""
        return self.cpu_s * 1e6 / self.requests

    @property
    def cpu_us_per_mb(self) -> float:
        """Of a sample with bytes."""
        return self.cpu_s * 1e12 / (self.bytes_per_s * self.seconds)


def warm_up(load: Load, target: Target, cpu: int) -> None:
    """Lets the interpreter specialise its bytecode and the allocators grow."""
    put(load, target.port, cpu, WARM_UP_S, keeps_alive=target.keeps_alive)
    time.sleep(_SETTLE_S)


def sample(load: Load, target: Target, cpu: int, seconds: int, beside: int | None = None) -> Sample:
    """Loads a running server for some seconds. `beside` is a process of ours that goes on meanwhile."""
    start, unspent, played, loaded = time.monotonic(), _busy_seconds(), _seconds_of(beside), _ended_seconds()
    before = cpu_seconds(target.root)
    report = put(load, target.port, cpu, seconds, keeps_alive=target.keeps_alive)
    after = cpu_seconds(target.root)
    if before.keys() != after.keys():
        raise ServerFailed("a process of the server was replaced under load")
    length = time.monotonic() - start
    spent = sum(after.values()) - sum(before.values())
    player = _seconds_of(beside) - played
    loading = _ended_seconds() - loaded
    others = max(_busy_seconds() - unspent - spent - player - loading, 0.0)
    return Sample(
        requests=report.requests,
        requests_per_s=report.requests_per_s,
        p99_us=report.p99_us,
        bytes_per_s=report.bytes_per_s,
        cpu_s=spent,
        seconds=length,
        load=loading / length,
        others=others / length,
        failed=report.failed,
        beside=player / length,
    )


def _busy_seconds() -> float:
    """CPU time that programs have used on all CPUs since the machine started (user, nice, system)."""
    first = Path("/proc/stat").read_text().split("\n", 1)[0]
    user, nice, system = map(int, first.split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _ended_seconds() -> float:
    """CPU time of the programs that this one has started and that have ended: in a sample, the load."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _seconds_of(process: int | None) -> float:
    return own_cpu_seconds(process) if process else 0.0
