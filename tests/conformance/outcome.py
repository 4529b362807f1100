"""What came of a row's bytes, and how it compares with what must come."""

import json
from dataclasses import dataclass

#: What differs from connection to connection, though requests be the same.
_OWN = ("REMOTE_PORT",)


@dataclass(frozen=True)
class Outcome:
    """What came of a row's bytes."""

    replies: tuple
    #: "stays", "closes", "resets" or "waits".
    end: str
    #: What no reply may be like, if one was.
    trouble: str
    interim: tuple

    def comparable(self):
        """The outcome without what may differ from one connection to the next."""
        return self.end, [(reply.status, reply.cut, _comparable_body(reply.body)) for reply in self.replies]

    def __str__(self):
        replies = [f"{reply.status} {reply.body[:120]!r}" for reply in self.replies]
        return f"{replies}, and the connection {self.end}"


def mismatch(expected, outcome):
    """What is wrong with an outcome, or None."""
    if expected.unreadable:
        return None if outcome.trouble else "the reply can be read"
    if expected.resets:
        return None if outcome.end == "resets" else f"the connection {outcome.end}"
    if outcome.trouble:
        return outcome.trouble
    if expected.interim is not None and expected.interim != tuple(reply.status for reply in outcome.interim):
        return f"the interim replies {outcome.interim} instead of {expected.interim}"
    if len(outcome.replies) != len(expected.replies):
        return f"{len(outcome.replies)} replies instead of {len(expected.replies)}"
    for number, (wanted, found) in enumerate(zip(expected.replies, outcome.replies, strict=True), 1):
        wrong = fault(wanted, found)
        if wrong:
            return f"reply {number}: {wrong}" if len(expected.replies) > 1 else wrong
    end = "waits" if expected.hangs else "stays" if expected.stays else "closes"
    return None if outcome.end == end else f"the connection {outcome.end}"


def fault(wanted, found):
    """What is wrong with a reply, or None."""
    if found.status != wanted.status:
        return f"status {found.status} instead of {wanted.status}"
    if found.cut != wanted.cut:
        return "the reply breaks off" if found.cut else "the reply ends as if it were whole"
    if wanted.body is not None and found.body != wanted.body:
        return f"body {found.body[:300]!r} instead of {wanted.body[:300]!r}"
    for name, value in wanted.fields.items():
        has = [found.version] if name == ":version" else found.fields(name)
        if has != ([] if value is None else [value]):
            return f"field {name} is {has} instead of {value!r}"
    seen = found.json if wanted.environ else {}
    for key, value in wanted.environ.items():
        if seen.get(key) != value:
            return f"environ[{key!r}] is {seen.get(key)!r} instead of {value!r}"
    return None


def broken_promise(replies, end):
    """What Tapster promises of every reply: that a connection which is to end is said to, and no other."""
    if not replies or replies[-1].cut or end == "waits":
        return ""
    says_close = (replies[-1].header("connection") or "").lower() == "close"
    if says_close != (end == "closes"):
        return f"the last reply says {'' if says_close else 'not '}that the connection is closed, but it {end}"
    return ""


def _comparable_body(body):
    if not body.startswith(b"{"):
        return body
    return {key: value for key, value in json.loads(body).items() if type(value) is str and key not in _OWN}
