"""The part of docs/protocols.md that is made from the rows: what gunicorn does otherwise, and why Tapster does not."""

from harness import ROOT

from .areas import AREAS
from .servers import GUNICORN_KNOWS

PATH = ROOT / "docs" / "protocols.md"
BEGIN, END = "<!-- differences:begin -->", "<!-- differences:end -->"
_MISSING = object()


def is_current():
    """Whether the document holds what the rows give."""
    return PATH.read_text() == _filled(PATH.read_text())


def write():
    """Writes the rows' part of the document anew."""
    PATH.write_text(_filled(PATH.read_text()))


def _filled(text):
    before, rest = text.split(BEGIN)
    _, behind = rest.split(END)
    return f"{before}{BEGIN}\n{differences()}{END}{behind}"


def differences():
    """The Markdown between the marks."""
    rows = [row for each in AREAS.values() for row in each]
    asked = [row for row in rows if set(row.settings) <= GUNICORN_KNOWS]
    differing = sum(row.gunicorn is not None for row in asked)
    own = sorted({setting for row in rows for setting in row.settings} - GUNICORN_KNOWS)
    lines = [
        "",
        f"The tests' table has {len(rows)} rules. gunicorn 27 can be asked {len(asked)} of them, and does otherwise in",
        f"the {differing} that are listed here; rules that differ in the same way share a line. The rest is about",
        f"settings that gunicorn does not have: {', '.join(f'`{setting}`' for setting in own)}.",
        "",
    ]
    for area, each in AREAS.items():
        cells = _cells(each)
        if cells:
            lines += [
                f"### {area.replace('-', ' ').capitalize()}",
                "",
                "| rule | Tapster | gunicorn | why |",
                "|---|---|---|---|",
                *cells,
                "",
            ]
    return "\n".join(lines)


def _cells(rows):
    """The lines of one area; rules that differ in the same way share one."""
    merged = {}
    for row in rows:
        if row.gunicorn:
            ours, theirs = row.expected, row.gunicorn.expected
            key = (_words(ours, theirs), _words(theirs, ours), row.gunicorn.why)
            merged.setdefault(key, []).append(row.rule)
    return ["| " + " | ".join(map(_escaped, ("; ".join(rules), *key))) + " |" for key, rules in merged.items()]


def _escaped(text):
    return text.replace("|", "\\|")


def _words(expected, other):
    """What must come of a row, in words: of what both tell, only that in which they differ."""
    if expected.words:
        return expected.words
    several = len(expected.replies) > 1
    parts = []
    for number, reply in enumerate(expected.replies):
        against = other.replies[number] if number < len(other.replies) else None
        told = _reply_words(reply, against)
        if several and told == str(reply.status) and against and reply.status == against.status:
            continue
        parts.append(f"reply {number + 1}: {told}" if several else told)
    if expected.interim:
        parts.insert(0, ", ".join(f"{status} first" for status in expected.interim))
    if _statuses(expected) == _statuses(other) and expected.stays != other.stays:
        parts.append("stays" if expected.stays else "closes")
    return ", ".join(parts)


def _statuses(expected):
    return [reply.status for reply in expected.replies]


def _reply_words(reply, against):
    told = [str(reply.status) + (" that breaks off" if reply.cut else "")]
    if against:
        told += [_named(name, value) for name, value in reply.fields.items() if _differs(value, against.fields, name)]
        told += [_seen(key, value) for key, value in reply.environ.items() if _differs(value, against.environ, key)]
    return ", ".join(told)


def _differs(value, others, key):
    return others.get(key, _MISSING) not in (value, _MISSING)


def _named(name, value):
    if name == ":version":
        return f"in HTTP/{value}"
    return f"no `{name}`" if value is None else f"`{name}: {value}`"


def _seen(key, value):
    if isinstance(value, list):
        return f"`{key}` is {value[1]}"
    return f"no `{key}`" if value is None else f"`{key}` is `{value}`"
