"""The twins' results as Markdown."""

import wanted
from cases import Twins
from measure import Sample
from table import cell, failures, load_of, not_measured
from twins import TwinRow
from wanted import Finding, find, spread


def section(twins: Twins, row: TwinRow) -> str:
    """The section of one pair."""
    both = [one for samples in row.samples for one in samples]
    notes = [*row.notes, *failures(both), *not_measured(row.reason, bool(both))]
    lines = [
        f"## {twins.title}, {twins.load.connections} connections",
        "",
        f"`{twins.name}`, `{twins.app}`. Two of {twins.server} side by side on one core, measured in turn (A B B A …), so"
        " that a machine's drift cancels; the ratio is the median of the pairs'.",
        "",
        "| server | requests/s | CPU µs/request | load | notes |",
        "|---|---:|---:|---:|---|",
    ]
    for threads, samples in zip(twins.threads, row.samples, strict=True):
        rate = spread([one.requests_per_s for one in samples], ",.0f")
        cpu = spread([one.cpu_us_per_request for one in samples], ".2f")
        name = f"{twins.server}, {threads} thread{'s' if threads > 1 else ''}"
        lines.append(f"| {name} | {rate} | {cpu} | {load_of(samples)} | {cell('; '.join(notes))} |")
    return "\n".join([*lines, *wanted.lines(findings(twins, row)), ""])


def findings(twins: Twins, row: TwinRow) -> list[Finding]:
    """What came of the figures that are wanted of the second twin."""
    first, second = row.samples
    return [find(one, second, first) for one in twins.wanted]


def samples(row: TwinRow) -> list[Sample]:
    """All of them, for what is said of the whole run."""
    return [one for samples in row.samples for one in samples]
