"""The results as Markdown: one table for each case and number of connections."""

import platform
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import prepare
from cases import Case
from measure import Sample
from servers import BJOERN, FLOOR, SERVERS, Server


#: Above this share of a CPU, other programs disturb what is measured.
NOISE = 0.1


@dataclass
class Row:
    """What is known of one server in one case: samples by number of connections, or the reason why there are none."""

    samples: dict[int, list[Sample]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    #: Why it was not measured, or not to the end.
    reason: str = ""


def render(results: dict[Case, dict[Server, Row]], command: str, rounds: int, seconds: int) -> str:
    parts = [_preface(command, rounds, seconds, _others(results))]
    for case, rows in results.items():
        parts += [_section(case, rows, connections) for connections in case.connections]
    return "\n".join(parts)


def _preface(command: str, rounds: int, seconds: int, others: list[float]) -> str:
    return f"""# What a request costs

    {command}

wrote this page: {rounds} × {seconds} s for each server and number of connections, all in one run, the servers in turn,
the median shown. Each server has one worker, pinned to one core with all its processes; the load
(`wrk`, one thread) has another. CPU is user + system time of all the server's processes, divided by the requests
answered; *spread* is its lowest and highest round. Times drift from machine to machine and from day to day: compare
the ratios. {_quiet(others)}

{_machine()}, Python {prepare.python_version()}, {_versions()}.
"""


def _others(results: dict[Case, dict[Server, Row]]) -> list[float]:
    rows = [row for rows in results.values() for row in rows.values()]
    return [sample.others for row in rows for samples in row.samples.values() for sample in samples]


def _quiet(others: list[float]) -> str:
    """How alone the benchmark was, so that figures from a busy machine can be told from others."""
    if not others:
        return ""
    share = f"Other programs used {median(others):.0%} of a CPU meanwhile (at most {max(others):.0%})"
    return f"{share}: **this machine was busy, measure again**." if median(others) > NOISE else f"{share}."


def _section(case: Case, rows: dict[Server, Row], connections: int) -> str:
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


def _line(server: Server, row: Row, samples: list[Sample], bjoern: float | None, floor: float | None) -> str:
    notes = [note for note in (server.note, *row.notes) if note]
    failed = sum(sample.failed for sample in samples)
    if failed:
        notes.append(f"**{failed} failed of {sum(sample.requests for sample in samples)}**")
    if row.reason:
        notes.append(f"**not measured{' to the end' if samples else ''}**: {row.reason}")
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
    return "| " + " | ".join([server.name, *figures, _cell("; ".join(notes))]) + " |"


def _cpu_of(rows: dict[Server, Row], name: str, connections: int) -> float | None:
    for server, row in rows.items():
        if server.name == name and row.samples.get(connections):
            return median(sample.cpu_us_per_request for sample in row.samples[connections])
    return None


def _ratio(value: float, base: float | None) -> str:
    return "–" if base is None else f"{value / base:.2f}"


def _threads(case: Case) -> str:
    return f"{case.threads} thread{'s' if case.threads > 1 else ''} a worker where a server has threads"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


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
