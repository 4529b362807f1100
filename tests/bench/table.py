"""The page as Markdown, with one table for each case and number of connections."""

import platform
from pathlib import Path
from statistics import median

import prepare
from cases import Case
from measure import Sample
from plain import PlainRow
from servers import BJOERN, FLOOR, SERVERS, Server
from trial import Setup

#: Above this share of a CPU, other programs disturb what is measured.
NOISE = 0.1


def render(sections: list[str], command: str, setup: Setup, rounds: int, others: list[float]) -> str:
    """The page. `others` is what other programs used of the CPUs in each sample."""
    return "\n".join([_preface(command, rounds, setup.seconds, others), *sections])


def sections(results: dict[Case, dict[Server, PlainRow]]) -> list[str]:
    """A section for each case and number of connections."""
    return [_section(case, rows, connections) for case, rows in results.items() for connections in case.connections]


def others(results: dict[Case, dict[Server, PlainRow]]) -> list[float]:
    """What other programs used of the CPUs in each sample."""
    rows = [row for rows in results.values() for row in rows.values()]
    return [sample.others for row in rows for samples in row.samples.values() for sample in samples]


def cell(text: str) -> str:
    """Text that does not end its cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def failures(samples: list[Sample]) -> list[str]:
    """The note on requests without an answer, if there were any."""
    failed = sum(sample.failed for sample in samples)
    return [f"**{failed} failed of {sum(sample.requests for sample in samples)}**"] if failed else []


def not_measured(reason: str, in_part: bool) -> list[str]:
    """The note on a server that was not measured, if there is a reason, or not to the end."""
    return [f"**not measured{' to the end' if in_part else ''}**: {reason}"] if reason else []


def _preface(command: str, rounds: int, seconds: int, others: list[float]) -> str:
    return f"""# What a request costs

    {command}

wrote this page: {rounds} × {seconds} s for each server and load, all in one run, the servers in turn,
the median shown. Each server has one worker, pinned to one core with all its processes; the load
(`wrk`, one thread) has another. CPU is user + system time of all the server's processes, divided by the requests
answered; *spread* is its lowest and highest round. Times drift from machine to machine and from day to day: compare
the ratios. {_quiet(others)}

{_machine()}, Python {prepare.python_version()}, {_versions()}.
"""


def _quiet(others: list[float]) -> str:
    """How alone the benchmark was, so that figures from a busy machine can be told from others."""
    if not others:
        return ""
    share = f"Other programs used {median(others):.0%} of a CPU meanwhile (at most {max(others):.0%})"
    return f"{share}: **this machine was busy, measure again**." if median(others) > NOISE else f"{share}."


def _section(case: Case, rows: dict[Server, PlainRow], connections: int) -> str:
    bjoern = _cpu_of(rows, BJOERN, connections)
    floor = _cpu_of(rows, FLOOR, connections)
    lines = [
        f"## {case.title}, {connections} connections",
        "",
        f"`{case.app}`; {_threads(case)}.",
        "",
        "| server | requests/s | CPU µs/request | spread | ÷ bjoern | ÷ floor | notes |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for server, row in rows.items():
        samples = row.samples.get(connections, [])
        lines.append(_line(server, row, samples, bjoern, floor))
    return "\n".join([*lines, ""])


def _line(server: Server, row: PlainRow, samples: list[Sample], bjoern: float | None, floor: float | None) -> str:
    notes = [note for note in (server.note, *row.notes) if note]
    notes += failures(samples)
    notes += not_measured(row.reason, bool(samples))
    if samples:
        cpu = [sample.cpu_us_per_request for sample in samples]
        rate = median(sample.requests_per_s for sample in samples)
        middle = median(cpu)
        figures = [
            f"{rate:,.0f}",
            f"{middle:.2f}",
            f"{min(cpu):.2f}–{max(cpu):.2f}",
            _ratio(middle, bjoern),
            _ratio(middle, floor),
        ]
    else:
        figures = ["–"] * 5
    return "| " + " | ".join([server.name, *figures, cell("; ".join(notes))]) + " |"


def _cpu_of(rows: dict[Server, PlainRow], name: str, connections: int) -> float | None:
    for server, row in rows.items():
        if server.name == name and row.samples.get(connections):
            return median(sample.cpu_us_per_request for sample in row.samples[connections])
    return None


def _ratio(value: float, base: float | None) -> str:
    return "–" if base is None else f"{value / base:.2f}"


def _threads(case: Case) -> str:
    return f"{case.threads} thread{'s' if case.threads > 1 else ''} a worker where a server has threads"


def _versions() -> str:
    packages = dict.fromkeys(package for server in SERVERS for package in server.packages)
    return ", ".join(f"{package} {prepare.pinned(package)}" for package in packages)


def _machine() -> str:
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{platform.system()} {platform.release()} on {model}"
