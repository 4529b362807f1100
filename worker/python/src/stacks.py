"""Tells what all threads are doing, for the log."""

import sys
import threading
import traceback

#: The innermost frames of a thread that are told.
MOST_FRAMES = 100


def stacks(marked, most):
    """The stacks of all threads but this one, in about `most` characters; that of the thread `marked` first."""
    own = threading.get_ident()
    # Without threading's lock, which a thread may hold that is stuck.
    names = {ident: thread.name for ident, thread in threading._active.copy().items()}
    frames = sys._current_frames()
    frames.pop(own, None)
    told = []
    for ident in sorted(frames, key=lambda ident: (ident != marked, ident)):
        late = ", which is late" if ident == marked else ""
        stack = traceback.extract_stack(frames[ident], MOST_FRAMES)
        lines = "".join(traceback.format_list(stack))
        text = f"Thread {names.get(ident, 'without a name')} (ident {ident}){late} (most recent call last):\n{lines}"
        if len(text) > most:
            told.append("[more threads are left out]" if told else f"[the first frames are left out]\n{text[-most:]}")
            break
        told.append(text)
        most -= len(text)
    return "".join(told).rstrip()
