"""Tells what threads are doing, for the log."""

import sys
import threading
import traceback

#: The innermost frames of a thread that are told, and those where only late threads are.
MOST_FRAMES, FEW_FRAMES = 100, 40
#: However many threads are late, so many characters of each one's stack are told.
LEAST_SHARE = 1000


def stacks(late, most, others):
    """The stacks of the threads that are late, and, with `others`, behind them those of all but this one, in about `most`
    characters. `late` has the request of each late thread by the thread's ident. Stacks that are alike are told once."""
    # Without threading's lock, which a thread may hold that is stuck.
    names = {ident: thread.name for ident, thread in threading._active.copy().items()}
    frames = sys._current_frames()
    frames.pop(threading.get_ident(), None)
    idents = [ident for ident in late if ident in frames]
    if others:
        idents += sorted(frames.keys() - late.keys())
    alike = {}
    for ident in idents:
        place = (ident in late, _places(frames[ident]))
        if place not in alike:
            # At once: the thread may go on.
            alike[place] = ([], _formatted(frames[ident], MOST_FRAMES if others else FEW_FRAMES))
        alike[place][0].append(ident)
    share = max(LEAST_SHARE, most // max(1, sum(is_late for is_late, _ in alike)))
    told = []
    for (is_late, _), (members, stack) in alike.items():
        heads = " and\n".join(
            f"Thread {names.get(ident, 'without a name')} (ident {ident})"
            + (f", which is late with {late[ident]}" if is_late else "")
            for ident in members
        )
        if is_late and len(stack) > share:
            stack = f"[the first frames are left out]\n{stack[-share:]}"
        text = f"{heads} (most recent call last):\n{stack}"
        if len(text) > most and not is_late:
            told.append("[more threads are left out]")
            break
        told.append(text)
        most -= len(text)
    return "".join(told).rstrip()


def _places(frame):
    """Where the code of a stack is, such that stacks of which all frames are at the same places have the same."""
    places = []
    while frame is not None:
        places.append((id(frame.f_code), frame.f_lineno))
        frame = frame.f_back
    return tuple(places)


def _formatted(frame, most_frames):
    """A stack as Python prints it."""
    return "".join(traceback.format_list(traceback.extract_stack(frame, most_frames)))
