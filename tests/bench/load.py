"""What puts load on a server: `wrk`, and for large bodies `transfer.c`. Each runs on one core for some seconds.

Called by `measure`; knows nothing of the server but its port.
"""

import re
import subprocess
from dataclasses import dataclass

import prepare
from processes import ServerFailed

#: What the load may take beyond its own duration before it counts as stuck.
GRACE_S = 15
#: What wrk is told where each request is to come on a connection of its own.
NEW_CONNECTIONS = ("-H", "Connection: close")
#: wrk's units of time.
_MICROSECONDS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}


@dataclass(frozen=True)
class Load:
    """What is asked, by how many connections at a time."""

    connections: int
    path: str = "/"
    #: More arguments for wrk: `("-H", "Connection: close")`, or `("-s", "script.lua")` with the script in `apps/`.
    wrk: tuple[str, ...] = ()
    #: Large bodies, with which wrk would be the slower side: `transfer.c` instead.
    transfers: bool = False
    #: Length of the body of each request, in bytes; only where it transfers.
    upload: int = 0


@dataclass(frozen=True)
class Report:
    """What the load has seen."""

    requests: int
    requests_per_s: float
    #: 0 where the load does not measure it.
    p99_us: float
    #: Bytes of bodies, sent or received; 0 where the load does not count them.
    bytes_per_s: float
    failed: int


def put(load: Load, port: int, cpu: int, seconds: int, *, keeps_alive: bool) -> Report:
    """Loads a server for some seconds; where it keeps connections alive, the end of one is a failure."""
    pinned = ["taskset", "-c", str(cpu)]
    if load.transfers:
        size = [str(load.connections), str(seconds), str(load.upload), str(int(keeps_alive))]
        output = _run([*pinned, str(prepare.TRANSFER), str(port), load.path, *size], "transfer", seconds)
        return _transferred(output)
    size = ["-t1", f"-c{load.connections}", f"-d{seconds}s", "--latency"]
    url = f"http://127.0.0.1:{port}{load.path}"
    return _told_by_wrk(_run([*pinned, "wrk", *size, *load.wrk, url], "wrk", seconds), keeps_alive)


def _run(command: list[str], name: str, seconds: int) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=prepare.APPS,
            timeout=seconds + GRACE_S,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise ServerFailed(f"{name} was stuck for {GRACE_S} s") from error
    if done.returncode != 0:
        raise ServerFailed(f"{name} exited with {done.returncode}: {done.stdout.strip()[-120:]}")
    return done.stdout


def _transferred(output: str) -> Report:
    found = re.search(r"answers (\d+) bytes (\d+) seconds ([\d.]+) failed (\d+)", output)
    if not found:
        raise ServerFailed("the report of transfer could not be read")
    answers, size, seconds, failed = int(found[1]), int(found[2]), float(found[3]), int(found[4])
    return Report(answers, answers / seconds, 0.0, size / seconds, failed)


def _told_by_wrk(output: str, keeps_alive: bool) -> Report:
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
    return Report(int(total[1]), float(rate[1]), float(slow[1]) * _MICROSECONDS[slow[2]], 0.0, failed)
