"""The page of `memory` as Markdown."""

import herds
import prepare
import wanted
from aging import Age
from herds import GTHREAD, GTHREAD_PRELOADED, PRELOADED, SYNC, SYNC_PRELOADED, TAPSTER, WARM, App, Found
from page import machine
from wanted import Finding, Metric, at_most, find

_MEMORY = Metric("memory", lambda found: found.total_kib)
#: Of which server, and what.
_WANTED = (
    *((PRELOADED, at_most(0.45, _MEMORY, server)) for server in (SYNC, GTHREAD)),
    *((PRELOADED, at_most(0.75, _MEMORY, server)) for server in (SYNC_PRELOADED, GTHREAD_PRELOADED)),
    *((WARM, at_most(0.75, _MEMORY, server)) for server in (SYNC_PRELOADED, GTHREAD_PRELOADED)),
    *((TAPSTER, at_most(0.90, _MEMORY, server)) for server in (SYNC, GTHREAD)),
)
#: Of the arbiter's resident memory.
_MOST_KIB = 5 * 1024


def render(results: dict[App, dict[str, Found]], ages: list[Age], requests: int, command: str) -> str:
    """The page."""
    findings = {app.name: _findings(rows) for app, rows in results.items()}
    head = f"""# What workers take of memory

    {command}

wrote this page: {herds.WORKERS} workers of an application, all processes of the server together, after {requests:,} requests
for each worker (each on a new connection, sixteen at a time, so that all workers get some). It is the sum of the
proportional set sizes (PSS): what processes share counts once. gunicorn's workers of the class `gthread` have four
threads, all others one. {wanted.summary(findings)}

{machine()}, Python {prepare.python_version()}, {_versions()}.
"""
    sections = [_section(app, rows, findings[app.name]) for app, rows in results.items()]
    return "\n".join([head, *sections, *([_aged(ages)] if ages else [])])


def _versions() -> str:
    return ", ".join(f"{name} {prepare.pinned(name)}" for name in ("Django", "gunicorn", "uWSGI", "granian"))


def _findings(rows: dict[str, Found]) -> list[Finding]:
    found = []
    for server, one in _WANTED:
        ours, theirs = ([rows[name]] if name in rows and not rows[name].reason else [] for name in (server, one.against))
        found.append(find(one, ours, theirs, server))
    return found


def _section(app: App, rows: dict[str, Found], findings: list[Finding]) -> str:
    lines = [f"## {app.name}", "", app.text, "", "| server | MB | each process | notes |", "|---|---:|---|---|"]
    for name, one in rows.items():
        each = ", ".join(f"{kib / 1024:.1f}" for kib in one.each_kib)
        total = f"{one.total_kib / 1024:.1f}" if one.total_kib else "–"
        lines.append(f"| {name} | {total} | {each} | {one.reason} |")
    return "\n".join([*lines, *wanted.lines(findings), ""])


def _aged(ages: list[Age]) -> str:
    last, first = ages[-1], ages[0]
    small = "met" if last.rss_kib <= _MOST_KIB else "**short**"
    closed = "met" if last.descriptors <= first.descriptors else "**short**"
    lines = [
        "## The arbiter's life",
        "",
        "One server with one worker, reloaded again and again. KiB, of the arbiter alone: resident memory, of that its own",
        "and pages of files, and its proportional share.",
        "",
        "| reloads | resident | its own | of files | PSS | descriptors |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for one in ages:
        counts = (one.reloads, one.rss_kib, one.anonymous_kib, one.file_kib, one.pss_kib, one.descriptors)
        lines.append(f"| {' | '.join(f'{count:,}' for count in counts)} |")
    lines += ["", "| wanted | measured | |", "|---|---:|---|"]
    lines.append(f"| resident at most {_MOST_KIB:,} KiB | {last.rss_kib:,} | {small} |")
    lines.append(f"| as many descriptors as at the start | {last.descriptors} | {closed} |")
    return "\n".join([*lines, ""])
