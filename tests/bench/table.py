"""The cases' results as Markdown: one table for each case and number of connections."""

from statistics import median

import wanted
from cases import Case
from measure import Sample
from plain import PlainRow
from servers import BJOERN, FLOOR, TAPSTER, Server
from wanted import Finding, find, spread

#: Columns that compare the CPU per request with one server's.
_BASES = (BJOERN, FLOOR)


def sections(case: Case, rows: dict[Server, PlainRow]) -> list[str]:
    """A section for each number of connections."""
    return [_section(case, rows, connections) for connections in case.connections]


def findings(case: Case, rows: dict[Server, PlainRow], connections: int | None = None) -> list[Finding]:
    """What came of the figures that are wanted, at all numbers of connections or at one."""
    samples = {server.name: row.samples for server, row in rows.items()}
    if TAPSTER not in samples:
        return []
    return [
        find(one, samples[TAPSTER].get(number, []), samples.get(one.against, {}).get(number, []))
        for number in case.connections
        for one in case.wanted
        if connections in (None, number) and one.connections in (None, number)
    ]


def samples(rows: dict[Server, PlainRow]) -> list[Sample]:
    """All of them, for what is said of the whole run."""
    return [one for row in rows.values() for samples in row.samples.values() for one in samples]


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


def load_of(samples: list[Sample]) -> str:
    """What the load used of its CPU."""
    return f"{median(one.load for one in samples):.0%}" if samples else "–"


def _section(case: Case, rows: dict[Server, PlainRow], connections: int) -> str:
    at = {server: row.samples.get(connections, []) for server, row in rows.items()}
    bases = {} if case.transfers else {name: found for name in _BASES if (found := _of(at, name))}
    figures = ["MB/s", "CPU µs/MB"] if case.transfers else ["requests/s", "CPU µs/request"]
    columns = ["server", *figures, *(f"÷ {name.removeprefix('kernel ')}" for name in bases), "load", "notes"]
    title = f"## {case.title}, {connections} connections"
    text = f" {case.text}" if case.text else ""
    rule = "|".join(["---", *["---:"] * (len(columns) - 2), "---"])
    lines = [title, "", f"`{case.name}`, `{case.app}`; {_threads(case)}.{text}", ""]
    lines += [f"| {' | '.join(columns)} |", f"|{rule}|"]
    lines += [_line(case, server, row, at[server], bases) for server, row in rows.items()]
    return "\n".join([*lines, *wanted.lines(findings(case, rows, connections)), ""])


def _line(case: Case, server: Server, row: PlainRow, samples: list[Sample], bases: dict[str, list[Sample]]) -> str:
    notes = [note for note in (server.note, *row.notes) if note]
    notes += failures(samples)
    notes += not_measured(row.reason, bool(samples))
    if case.transfers:
        first = spread([one.bytes_per_s / 1e6 for one in samples], ",.0f")
        cpu = [one.cpu_us_per_mb for one in samples]
        second = spread(cpu, ",.0f")
    else:
        first = spread([one.requests_per_s for one in samples], ",.0f")
        cpu = [one.cpu_us_per_request for one in samples]
        second = spread(cpu, ".2f")
    ratios = [_ratio(samples, base) for base in bases.values()]
    return "| " + " | ".join([server.name, first, second, *ratios, load_of(samples), cell("; ".join(notes))]) + " |"


def _of(at: dict[Server, list[Sample]], name: str) -> list[Sample]:
    return next((samples for server, samples in at.items() if server.name == name), [])


def _ratio(samples: list[Sample], base: list[Sample]) -> str:
    """Of the CPU per request, round by round."""
    ratios = [one.cpu_us_per_request / other.cpu_us_per_request for one, other in zip(samples, base)]
    return f"{median(ratios):.2f}" if ratios else "–"


def _threads(case: Case) -> str:
    return f"{case.threads} thread{'s' if case.threads > 1 else ''} a worker where a server has threads"
