"""What an application does wrong: what is logged, what the client learns, and that the server goes on."""

import contextlib

from harness import Truncated

from ..rule import Area

AREA = Area()
rule = AREA.rule


def _logged(ask, route, text):
    """Demands that the log has the exception; the client gets whatever it gets."""
    with contextlib.suppress(OSError):
        ask.everything(route)
    ask.wait_log(f"{text} {ask.mark}", "it is not in the log")


@rule("traps-and-logs", "an exception of the application's call is logged")
def call(ask):
    _logged(ask, "fails", "failed in the call")


@rule("traps-and-logs", "an exception at the first block is logged")
def first(ask):
    _logged(ask, "fails-first", "failed in the body")


@rule("traps-and-logs", "an exception behind the first block is logged")
def midstream(ask):
    _logged(ask, "fails-midstream", "failed in the body")


@rule("traps-and-logs", "SystemExit is trapped and logged like any other")
def exits(ask):
    _logged(ask, "exits", "exit")


@rule("aborts", "an exception before the first block leaves no whole reply, though a 200 was declared")
def answered(ask):
    for route in ("fails", "fails-declared", "fails-first"):
        ask.broken_off(route)


@rule("aborts", "an exception within a body of declared length breaks it off")
def cut_with_length(ask):
    ask.broken_off("fails-midstream-with-length")


@rule("aborts", "an exception within a chunked body breaks it off")
def cut_without_length(ask):
    ask.broken_off("fails-midstream")


@rule("misuse-told", "None or a number for the iterable leaves no whole reply")
def no_iterable(ask):
    for route in ("returns-none", "returns-int"):
        ask.broken_off(route)


@rule("misuse-told", "a block that is no bytestring leaves no whole reply")
def no_block(ask):
    ask.broken_off("yields-none")


@rule("misuse-told", "an exception in close() is logged, and harms no request")
def in_close(ask):
    with contextlib.suppress(Truncated):
        ask.get("fails-in-close")
    ask.wait_log(f"failed in close {ask.mark}", "it is not in the log")
