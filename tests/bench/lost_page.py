"""The page of `lost` as Markdown."""

from statistics import median

import prepare
from page import machine
from upheavals import FAILURES, Outcome, Upheaval
from wanted import spread

#: A worker's place is to be filled within this, where the application is preloaded.
WANTED_RESPAWN_MS = 20.0

_TEXT = """`right` are answers with the right status, length, number and body. What is not right is one of:

| | |
|---|---|
| refused | no connection came about |
| reset | the connection was reset before the first byte of the reply |
| unanswered | the server had taken the request in, and closed the connection without a byte of a reply |
| kept | the race of keep-alive: a kept connection, whose end no reply had announced, was closed while a request was on its way. A client may send it again if it is one that may be sent twice; it counts as failed here |
| truncated | the reply ended too early |
| wrong | another status than 200, another length, or the answer to another request |
| timeout | nothing came for a minute |

Twelve clients, whom nothing is retried for: four that keep their connections and ask without a pause to speak of, four that
keep them and pause for up to a second, four that make a connection for each request. They ask for short calls, for some of
5 and 20 ms, for replies of 200 kB, and send bodies of up to 20 kB in two pieces. A connection that a server closes while
nothing has been asked is no failure. After a refused connection a client waits for 50 ms: a server that is gone could have
been asked any number of times. Each server has two workers and, where it has threads, four of them; its settings are its
defaults otherwise (granian: `--respawn-failed-workers`)."""


def render(results: dict[tuple[Upheaval, bool], dict[str, Outcome]], holes: dict[str, list[float]], command: str) -> str:
    """The page."""
    ours = [one for rows in results.values() for name, one in rows.items() if name.startswith("tapster") and not one.reason]
    sections = [_section(upheaval, stormy, rows) for (upheaval, stormy), rows in results.items()]
    if holes:
        sections.append(_holes(holes))
    head = f"""# What is lost when a server is reloaded

    {command}

wrote this page: what is done to servers in production, done to each of them under the load of clients that count every
request. {_summary(ours)}

{_TEXT}

{machine()}, Python {prepare.python_version()}, gunicorn {prepare.pinned("gunicorn")}, granian {prepare.pinned("granian")}.
"""
    return "\n".join([head, *sections])


def _summary(ours: list[Outcome]) -> str:
    sent, failed = sum(one.sent for one in ours), sum(one.failed for one in ours)
    return f"Of {sent:,} requests to Tapster {failed:,} failed, those in killed workers counted in." if ours else ""


def _section(upheaval: Upheaval, stormy: bool, rows: dict[str, Outcome]) -> str:
    times = next((one.times for one in rows.values() if one.times), upheaval.times)
    title = f"## {upheaval.title}{', under wrk' if stormy else ''}"
    text = f"`{upheaval.name}`, {times:,} times. {upheaval.text}" if times > 1 else f"`{upheaval.name}`. {upheaval.text}"
    columns = _STORM if stormy else _COLUMNS
    lines = [title, "", text, "", f"| {' | '.join(columns)} |", f"|{'|'.join(['---', *['---:'] * (len(columns) - 3), '---', '---'])}|"]
    lines += [_row(name, one, stormy, upheaval.final, len(columns)) for name, one in rows.items()]
    return "\n".join([*lines, ""])


_COLUMNS = ("server", "requests", "failed", *FAILURES, "serves at the end", "notes")
_STORM = ("server", "requests", "connect", "read", "write", "timeout", "not 2xx", "serves at the end", "notes")


def _row(name: str, one: Outcome, stormy: bool, final: bool, columns: int) -> str:
    if one.reason:
        return f"| {name} |{' |' * (columns - 2)} {_cell(one.reason)} |"
    serves = "–" if final else "**no**" if not one.serves else "yes" if one.is_led else "**orphans do**"
    notes = _cell("; ".join([*one.notes, f"{one.seconds:.0f} s"]))
    if stormy:
        storm = one.storm
        counts = [storm.requests, storm.connect, storm.read, storm.write, storm.timeout, storm.refused]
        beside = f"; of {one.sent:,} counted requests beside it {one.failed:,} failed"
        return f"| {name} | {' | '.join(f'{count:,}' for count in counts)} | {serves} | {notes}{beside} |"
    counts = [one.sent, one.failed, *(one.fates[fate] for fate in FAILURES)]
    return f"| {name} | {' | '.join(f'{count:,}' for count in counts)} | {serves} | {notes} |"


def _holes(holes: dict[str, list[float]]) -> str:
    lines = [
        "## A worker's place is filled",
        "",
        "`respawn`. From the `kill -9` of one of two workers to the line in the log that says that its successor is ready",
        "(gunicorn's says that it boots); no load. Milliseconds, the lowest and the highest in brackets. Wanted of Tapster with",
        f"`--preload`: at most {WANTED_RESPAWN_MS:.0f}.",
        "",
        "| server | ms | times | |",
        "|---|---:|---:|---|",
    ]
    for name, times in holes.items():
        verdict = ""
        if name == "tapster --preload":
            verdict = "met" if median(times) <= WANTED_RESPAWN_MS else "**short**"
        lines.append(f"| {name} | {spread(times, '.1f')} | {len(times)} | {verdict} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
