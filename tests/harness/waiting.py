"""Waiting for a fact with a deadline. No test sleeps for luck."""

import time


def wait_until(fact, deadline=10.0, what=None, every=0.01):
    """Calls `fact` until it returns something true, which is returned; fails after `deadline` seconds.

    `what` names the fact in the failure: a string, or a callable that describes the state at the end.
    """
    end = time.monotonic() + deadline
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > end:
            described = what() if callable(what) else what or getattr(fact, "__name__", "fact")
            raise AssertionError(f"not within {deadline} s: {described}")
        time.sleep(every)


def always(fact, seconds, what=None, every=0.02):
    """Asserts that `fact` stays true for `seconds`: only for what must not happen, where no fact can be awaited."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert fact(), what or "fact did not hold"
        time.sleep(every)
