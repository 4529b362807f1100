"""One measurement: wrk on one core, the server on another, and what the server's processes spent meanwhile.

Called by `plain` and `crowded`; keeps nothing.
"""

import os
import re
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import prepare
from processes import ServerFailed, cpu_seconds, own_cpu_seconds

WARM_UP_S = 1
#: What wrk may take beyond its own duration before it counts as stuck.
WRK_GRACE_S = 15
#: wrk's units of time.
_MICROSECONDS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}


@dataclass(frozen=True)
class Target:
    """A running server, as the load sees it."""

    port: int
    #: Pid at the top of its process tree.
    root: int
    keeps_alive: bool


@dataclass(frozen=True)
class Load:
    """What wrk is asked to do."""

    connections: int
    path: str = "/"
    #: More arguments: `("-H", "Connection: close")`, or `("-s", "upload.lua")` with the script in `apps/`.
    wrk: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    requests: int
    requests_per_s: float
    p99_us: float
    #: Of all the server's processes.
    cpu_s: float
    #: What other programs used of the CPUs meanwhile: 1.0 is one CPU, all the time.
    others: float
    #: Answers that were no answer: refused, cut, timed out, or with an error status.
    failed: int
    #: What the process `beside` used of a CPU, which it may have taken from wrk: 1.0 is one CPU, all the time.
    beside: float

    @property
    def cpu_us_per_request(self) -> float:
        """Of a sample with requests."""
        return self.cpu_s * 1e6 / self.requests


@dataclass(frozen=True)
class _Report:
    requests: int
    requests_per_s: float
    p99_us: float
    failed: int


def warm_up(load: Load, target: Target, cpu: int) -> None:
    """Lets the interpreter specialise its bytecode and the allocators grow."""
    _wrk(load, target, cpu, WARM_UP_S)


def sample(load: Load, target: Target, cpu: int, seconds: int, beside: int | None = None) -> Sample:
    """Loads a running server for some seconds. `beside` is a process of ours that goes on meanwhile."""
    start, unspent, played = time.monotonic(), _busy_seconds() - _our_seconds(beside), _seconds_of(beside)
    before = cpu_seconds(target.root)
    report = _wrk(load, target, cpu, seconds)
    after = cpu_seconds(target.root)
    if before.keys() != after.keys():
        raise ServerFailed("a process of the server was replaced under load")
    spent = sum(after.values()) - sum(before.values())
    length = time.monotonic() - start
    others = max(_busy_seconds() - _our_seconds(beside) - unspent - spent, 0.0) / length
    share = (_seconds_of(beside) - played) / length
    return Sample(report.requests, report.requests_per_s, report.p99_us, spent, others, report.failed, share)


def _busy_seconds() -> float:
    """CPU time that programs have used on all CPUs since the machine started (user, nice, system)."""
    first = Path("/proc/stat").read_text().split("\n", 1)[0]
    user, nice, system = map(int, first.split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _our_seconds(beside: int | None) -> float:
    """CPU time of the programs that this one has started and that have ended (in a sample: wrk), and of `beside`."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime + _seconds_of(beside)


def _seconds_of(process: int | None) -> float:
    return own_cpu_seconds(process) if process else 0.0


def _wrk(load: Load, target: Target, cpu: int, seconds: int) -> _Report:
    command = ["taskset", "-c", str(cpu), "wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--latency"]
    try:
        done = subprocess.run(
            [*command, *load.wrk, f"http://127.0.0.1:{target.port}{load.path}"],
            cwd=prepare.APPS,
            timeout=seconds + WRK_GRACE_S,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise ServerFailed(f"wrk was stuck for {WRK_GRACE_S} s") from error
    if done.returncode != 0:
        raise ServerFailed(f"wrk exited with {done.returncode}: {done.stdout.strip()[-120:]}")
    return _parse(done.stdout, target.keeps_alive)


def _parse(output: str, keeps_alive: bool) -> _Report:
    """Reads wrk's report.

    A read error counts as failed only where connections are kept: wrk calls each close that no `Connection: close`
    announced a read error, though the answer before it was whole.
    """
    total = re.search(r"(\d+) requests in", output)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", output)
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", output)
    if not total or not rate or not slow:
        raise ServerFailed("wrk's report could not be read")
    errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    connect, read, write, timeout = map(int, errors.groups()) if errors else (0, 0, 0, 0)
    failed = connect + write + timeout + (read if keeps_alive else 0)
    failed += int(refused[1]) if refused else 0
    return _Report(int(total[1]), float(rate[1]), float(slow[1]) * _MICROSECONDS[slow[2]], failed)
