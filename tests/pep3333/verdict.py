"""Asks a rule of a server, and says what came of it; the server is known to serve before and after."""

import json
from dataclasses import dataclass

from harness import Truncated, request, wait_until

from .ask import Ask
from .rule import Breach, NotAsked, Start

PASSES, FAILS, DIES, NOT_ASKED, READING = "passes", "fails", "dies", "not asked", "reading"
#: How long a server may take until it answers again, behind a rule.
RECOVERY_SECONDS = 8.0
_MOST_WORDS = 160


@dataclass(frozen=True)
class Verdict:
    """What came of a rule."""

    outcome: str
    why: str = ""


def judge(rule, name, servers, folders, known=()):
    """The verdict on the server `name`. `servers` starts and renews it, `folders` makes a folder for each question;
    `known` are the words of rules that it is known not to keep."""
    lacking = [needed for needed in rule.needs if needed in known]
    if lacking:
        return Verdict(NOT_ASKED, f"it stands upon a rule that is broken: *{lacking[0]}*")
    if rule.only_tapster and name != "tapster":
        return Verdict(NOT_ASKED, "it can't be learned from outside")
    verdict = Verdict(PASSES)
    for start in rule.starts:
        verdict = _ask(rule, start, servers, folders())
        if verdict.outcome != PASSES:
            break
    if verdict.outcome in (FAILS, DIES) and name in rule.reading:
        return Verdict(READING, rule.reading[name])
    return verdict


def _ask(rule, start, servers, folder):
    try:
        server = servers.of(start)
        before = _process(server, start)
    except NotAsked as reason:
        return Verdict(NOT_ASKED, str(reason))
    except AssertionError as error:
        return Verdict(FAILS, f"it does not start: {_line(error).removesuffix('; its log:')}")
    ask = Ask(server, folder)
    try:
        rule.check(ask)
        verdict = Verdict(PASSES)
    except NotAsked as reason:
        verdict = Verdict(NOT_ASKED, str(reason))
    except Exception as error:
        verdict = Verdict(FAILS, _why(error))
    finally:
        # An application that still waits there would keep the next rule's request waiting.
        ask.open_gate()
    return _alive(verdict, start, before, server, servers)


def _alive(verdict, start, before, server, servers):
    """The verdict, unless the server or its worker has died of the rule, or serves nobody any more."""
    try:
        after = _process(server, start)
    except AssertionError:
        status = server.process.poll()
        died = "the server answers no more" if status is None else f"the server is gone, with status {status}"
        servers.renew(start)
        return Verdict(DIES, died)
    if after != before:
        return Verdict(DIES, "the worker is gone, and another one takes its place")
    return verdict


def _process(server, start):
    """The number of the process that answers; None where there are several, or where the application can't tell."""
    path = "/ready"

    def answers():
        if server.exited():
            raise AssertionError("the server has exited")
        try:
            return request(server.address, "GET", path, timeout=RECOVERY_SECONDS)
        except OSError:
            return None

    reply = wait_until(answers, RECOVERY_SECONDS)
    alone = start.application == Start().application and start.workers == 1
    return reply.body if alone else None


def _why(error):
    if isinstance(error, Breach):
        return _line(error)
    if isinstance(error, Truncated):
        return "the reply breaks off" if error.reply else "the connection is closed without a reply"
    if isinstance(error, TimeoutError):
        return "no answer comes"
    if isinstance(error, ConnectionError):
        return "the connection is reset"
    if isinstance(error, json.JSONDecodeError):
        return "the answer is not what the application sent"
    return _line(error, type(error).__name__)


def _line(error, instead=""):
    text = (str(error).splitlines() or [""])[0] or instead
    return text if len(text) <= _MOST_WORDS else text[: _MOST_WORDS - 1] + "…"
