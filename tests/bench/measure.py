"""One measurement: wrk on one core, the server on another, and what the server's processes spent meanwhile.

Called by `run` once per server, round and number of connections; keeps nothing.
"""

import os
import re
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from cases import Case
from processes import ServerFailed, cpu_seconds

WARM_UP_S = 1
#: What wrk may take beyond its own duration before it counts as stuck.
WRK_GRACE_S = 15


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
    cpu_us_per_request: float
    #: What other programs used of the CPUs meanwhile: 1.0 is one CPU, all the time.
    others: float
    #: Answers that were no answer: refused, cut, timed out, or with an error status.
    failed: int


@dataclass(frozen=True)
class _Load:
    requests: int
    requests_per_s: float
    failed: int


def warm_up(case: Case, target: Target, cpu: int, apps: Path) -> None:
    """Lets the interpreter specialise its bytecode and the allocators grow."""
    _wrk(case, target, cpu, apps, min(case.connections), WARM_UP_S)


def sample(case: Case, target: Target, cpu: int, apps: Path, connections: int, seconds: int) -> Sample:
    """Loads a running server for some seconds."""
    start, busy, children = time.monotonic(), _busy_seconds(), _children_seconds()
    before = cpu_seconds(target.root)
    load = _wrk(case, target, cpu, apps, connections, seconds)
    after = cpu_seconds(target.root)
    if before.keys() != after.keys():
        raise ServerFailed("a process of the server was replaced under load")
    if load.requests == 0:
        raise ServerFailed("answered no request under load")
    spent = sum(after.values()) - sum(before.values())
    others = _busy_seconds() - busy - (_children_seconds() - children) - spent
    others_share = max(others, 0.0) / (time.monotonic() - start)
    return Sample(load.requests, load.requests_per_s, spent * 1e6 / load.requests, others_share, load.failed)


def _busy_seconds() -> float:
    """CPU time that programs have used on all CPUs since the machine started (user, nice, system)."""
    first = Path("/proc/stat").read_text().split("\n", 1)[0]
    user, nice, system = map(int, first.split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _children_seconds() -> float:
    """CPU time of the programs that this one has started and that have ended: during a sample, of wrk."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _wrk(case: Case, target: Target, cpu: int, apps: Path, connections: int, seconds: int) -> _Load:
    command = ["taskset", "-c", str(cpu), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *case.wrk]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{target.port}{case.path}"],
        cwd=apps,
        timeout=seconds + WRK_GRACE_S,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode != 0:
        raise ServerFailed(f"wrk exited with {done.returncode}: {done.stdout.strip()[-120:]}")
    return _parse(done.stdout, target.keeps_alive)


def _parse(output: str, keeps_alive: bool) -> _Load:
    """Reads wrk's report.

    A read error counts as failed only where connections are kept: wrk calls each close that no `Connection: close`
    announced a read error, though the answer before it was whole.
    """
    total = re.search(r"(\d+) requests in", output)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", output)
    if not total or not rate:
        raise ServerFailed("wrk's report could not be read")
    errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    connect, read, write, timeout = map(int, errors.groups()) if errors else (0, 0, 0, 0)
    failed = connect + write + timeout + (read if keeps_alive else 0)
    return _Load(int(total[1]), float(rate[1]), failed + (int(refused[1]) if refused else 0))
