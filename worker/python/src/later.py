"""Calls a function after a while."""

# Not `threading`: the thread is to be in nobody's list, and the interpreter ends without it.
from _thread import allocate_lock, start_new_thread


def call_later(seconds, function):
    """Calls `function` after so many seconds, in a thread of its own."""

    def wait():
        # A timeout of a lock, since applications replace `time.sleep`.
        lock = allocate_lock()
        lock.acquire()
        lock.acquire(True, seconds)
        function()

    start_new_thread(wait, ())
