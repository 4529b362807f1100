"""The whole page as Markdown: what holds for all of the run, then each section."""

import platform
from pathlib import Path
from statistics import median

import prepare
import wanted
from cases import CASES, Case
from measure import Sample
from servers import SERVERS
from trial import Setup
from wanted import Finding

#: Above this share of a CPU, other programs disturb what is measured.
_NOISE = 0.1


def render(
    sections: list[str], findings: dict[str, list[Finding]], samples: list[Sample], command: str, setup: Setup
) -> str:
    """The page; `findings` by the name of their case or crowd."""
    return "\n".join([_preface(findings, samples, command, setup), *sections])


def _preface(findings: dict[str, list[Finding]], samples: list[Sample], command: str, setup: Setup) -> str:
    return f"""# What a request costs

    {command}

wrote this page: {setup.rounds} × {setup.seconds} s for each server and load, all in one run, the servers in turn;
medians, with the lowest and the highest in brackets. Each server has one worker, pinned to one core with all its
processes; the load (`wrk`, one thread, or `transfer.c` for large bodies) has another, and *load* is what it used of that.
CPU is user + system time of all the server's processes. What is *wanted* of tapster is a ratio within each round, and its
median counts. Times drift from machine to machine and from day to day: compare the ratios. {_quiet(samples)}

{wanted.summary(findings)}

{machine()}, Python {prepare.python_version()}, {_versions()}.
"""


def _quiet(samples: list[Sample]) -> str:
    """How alone the benchmark was, so that figures from a busy machine can be told from others."""
    if not samples:
        return ""
    others = [one.others for one in samples]
    share = f"Other programs used {median(others):.0%} of a CPU meanwhile (at most {max(others):.0%})"
    return f"{share}: **this machine was busy, measure again**." if median(others) > _NOISE else f"{share}."


def _versions() -> str:
    peers = [package for server in SERVERS for package in server.packages]
    frameworks = [package for case in CASES if isinstance(case, Case) for package in case.packages]
    return ", ".join(f"{package} {prepare.pinned(package)}" for package in dict.fromkeys(peers + frameworks))


def machine() -> str:
    """Kernel and CPU, as the pages name them."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{platform.system()} {platform.release()} on {model}"
