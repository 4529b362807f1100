"""The part of docs/wsgi.md that is made from a run of `compare`: who passes what, and why not."""

import platform
import subprocess
from collections import Counter

from harness import TAPSTER

from .peers import PEERS
from .prepare import pins
from .rule import MUST, SHOULD, STATED
from .sentences import APPLICATION, BY_NAME, MIDDLEWARE, PROMISES, SENTENCES, SERVER
from .verdict import DIES, FAILS, NOT_ASKED, PASSES, READING

BEGIN, END = "<!-- conformance:begin -->", "<!-- conformance:end -->"
_CELLS = {PASSES: "yes", FAILS: "**no**", DIES: "**dies**", NOT_ASKED: "–", READING: "(no)"}
_SHOWN = {"tapster": "Tapster"}
_LEVELS = (MUST, SHOULD, STATED)


def write(path, text):
    """Puts a table between the marks of a document."""
    before, rest = path.read_text().split(BEGIN)
    _, behind = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{behind}")


def table(verdicts, reasons, rules):
    """The Markdown: `verdicts` by server and rule, and for servers that could not be asked the reason."""
    names = [peer.name for peer in PEERS if peer.name in verdicts or peer.name in reasons]
    parts = [_servers(names, reasons), _totals(verdicts, names)]
    sections = list(dict.fromkeys(sentence.section for sentence in SENTENCES + PROMISES))
    parts += [
        _section(title, [rule for rule in rules if BY_NAME[rule.sentence].section == title], verdicts, names)
        for title in sections
    ]
    parts.append(_rest())
    return "\n\n".join(part for part in parts if part)


def _servers(names, reasons):
    lines = ["| server | version | started as |", "|---|---|---|"]
    for peer in PEERS:
        if peer.name in names:
            note = f"not asked: {reasons[peer.name]}" if peer.name in reasons else peer.note
            lines.append(f"| {_name(peer.name)} | {_version(peer)} | {note} |")
    lines += ["", f"One worker and one thread, unless a rule is about more; CPython {platform.python_version()}."]
    return "\n".join(lines)


def _version(peer):
    if peer.package:
        return pins()[peer.package]
    return subprocess.run([TAPSTER, "--version"], check=True, text=True, stdout=subprocess.PIPE).stdout.split()[-1]


def _totals(verdicts, names):
    """How many rules of each level each server keeps, of those that it can be asked, and not it alone."""
    lines = [_row("rules", *map(_name, names)), _row("---", *["---:"] * len(names))]
    for level in (*_LEVELS, "all"):
        cells = []
        for name in names:
            wanted = _LEVELS if level == "all" else (level,)
            outcomes = Counter(
                verdict.outcome
                for rule, verdict in verdicts.get(name, {}).items()
                if BY_NAME[rule.sentence].level in wanted and not rule.only_tapster
            )
            judged = outcomes[PASSES] + outcomes[FAILS] + outcomes[DIES]
            cells.append(f"{outcomes[PASSES]} of {judged}" if judged else "–")
        lines.append(_row(f"**{level}**" if level == "all" else level, *cells))
    return "\n".join(lines)


def _section(title, rules, verdicts, names):
    if not rules:
        return ""
    lines = [f"### {title}", "", _row("rule", "level", *map(_name, names)), _row("---", "---", *["---"] * len(names))]
    for rule in rules:
        cells = [_CELLS[verdicts[name][rule].outcome] if name in verdicts else "–" for name in names]
        lines.append(_row(rule.words, BY_NAME[rule.sentence].level, *cells))
    told = [line for rule in rules if (line := _told(rule, verdicts, names))] + _unasked(rules, verdicts, names)
    return "\n".join([*lines, *(["", *told] if told else [])])


def _told(rule, verdicts, names):
    """Why servers do not keep a rule; those with the same reason together."""
    reasons = {}
    for name in names:
        verdict = verdicts.get(name, {}).get(rule)
        if verdict and verdict.outcome in (FAILS, DIES, READING):
            why = verdict.why + (" (not counted)" if verdict.outcome == READING else "")
            if name == "tapster" and rule.deviation:
                why = f"{why}, on purpose: {rule.deviation}"
            reasons.setdefault(why, []).append(_name(name))
    if not reasons:
        return ""
    return f"- *{rule.words}*: " + "; ".join(f"{', '.join(each)}: {why}" for why, each in reasons.items())


def _unasked(rules, verdicts, names):
    """Why servers could not be asked some rules of a section, a line for each reason."""
    reasons = {}
    for rule in rules:
        for name in names:
            verdict = verdicts.get(name, {}).get(rule)
            if verdict and verdict.outcome == NOT_ASKED and not rule.only_tapster:
                servers = reasons.setdefault(verdict.why, [])
                servers += [_name(name)] if _name(name) not in servers else []
    return [f"- –, {', '.join(servers)}: {why}" for why, servers in reasons.items()]


def _rest():
    """What the PEP demands of others, and what can't be asked."""
    untested = [sentence for sentence in SENTENCES if sentence.untested]
    lines = ["### What is not asked", "", "Sentences that bind a server and have no rule:", ""]
    by_reason = {}
    for sentence in untested:
        by_reason.setdefault((sentence.section, sentence.untested), []).append(sentence.words)
    lines += [f"- {section}: {'; '.join(words)}: {reason}." for (section, reason), words in by_reason.items()]
    counts = {binds: sum(each.binds == binds for each in SENTENCES) for binds in (APPLICATION, MIDDLEWARE, SERVER)}
    others = len(SENTENCES) - sum(counts.values())
    lines += [
        "",
        f"`sentences.py` has all {len(SENTENCES)} sentences of the PEP that demand something: {counts[SERVER]} of a",
        f"server, {counts[APPLICATION]} of an application, {counts[MIDDLEWARE]} of a middleware, {others} of nobody",
        "in particular.",
    ]
    return "\n".join(lines)


def _name(name):
    return _SHOWN.get(name, name)


def _row(*cells):
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(text):
    return text.replace("|", "\\|")
