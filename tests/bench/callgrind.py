"""Counts the instructions that tapster spends on a request, with valgrind. Called by `instructions`.

Counts are of user space, of all processes of the server together, by the file that the code is in. Two runs that differ
in their number of requests only are subtracted from each other, so what starting and stopping cost falls out.
"""

import os
import tempfile
from collections import Counter
from pathlib import Path

import prepare
from probe import Connection, wait_until_up
from processes import ServerFailed, last_line, running
from trial import free_port

#: Requests of the shorter run, which let the interpreter specialise its bytecode, and how many more the longer one has.
#: Together fewer than a connection may bring by default.
_FIRST = 1000
_MORE = 4000
#: Everything is some fifty times slower than it is.
_PATIENCE_S = 120.0
#: Whatever could change the order of a set stays the same. The C library keeps all that is freed where it finds it
#: again at once: else the way of an allocation depends on what lies beside it, and so on the length of a path.
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "GLIBC_TUNABLES": "glibc.malloc.tcache_max=1048576",
}


def per_request(tapster: Path, python: Path, requests: list[bytes], cpu: int) -> list[Counter[str]]:
    """For each kind of request the instructions that one costs, by the name of the file that the code is in."""
    first = [requests[0]] * _FIRST
    base = _count(tapster, python, first, cpu)
    found = []
    for request in requests:
        counts = _count(tapster, python, first + [request] * _MORE, cpu)
        counts.subtract(base)
        found.append(Counter({name: round(count / _MORE) for name, count in counts.items()}))
    return found


def _count(tapster: Path, python: Path, requests: list[bytes], cpu: int) -> Counter[str]:
    """Instructions by file, from the start of a server to its end."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder), Path(folder) / "log"
        valgrind = ["valgrind", "--tool=callgrind", "--trace-children=yes", "--compress-strings=no", "--dump-line=no"]
        server = [str(tapster), "-b", f"127.0.0.1:{port}", "-w", "1", "--python", str(python), "hello:app"]
        command = [*valgrind, f"--callgrind-out-file={out}/%p.out", *server]
        try:
            with running(command, prepare.APPS, cpu, log, _ENVIRONMENT, _PATIENCE_S) as process:
                wait_until_up(process, port, _PATIENCE_S)
                with Connection(port, _PATIENCE_S) as one:
                    for request in requests:
                        if one.answer_to(request) != b"Hello, World!":
                            raise ServerFailed("answered something else")
        except (OSError, ServerFailed) as error:
            raise ServerFailed(f"{error} (its log ends: {last_line(log)})") from error
        counts: Counter[str] = Counter()
        for file in out.glob("*.out"):
            counts.update(by_file(file.read_text(errors="replace")))
    return counts


def by_file(profile: str) -> Counter[str]:
    """Instructions in each object file, out of a profile as callgrind writes it, with names that are not compressed.

    A line of cost counts for the object that was named last. The one after `calls=` is what the call cost elsewhere,
    and is counted there.
    """
    counts: Counter[str] = Counter()
    name, is_elsewhere = "", False
    for line in profile.splitlines():
        if line.startswith("ob="):
            name = os.path.basename(line.removeprefix("ob="))
        elif line.startswith("calls="):
            is_elsewhere = True
        elif line[:1].isdigit() or line[:1] in ("+", "-", "*"):
            if not is_elsewhere:
                counts[name] += int(line.split()[1])
            is_elsewhere = False
    return counts
