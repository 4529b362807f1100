"""Servers whose requests may take a second, with the application of `apps/late.py`, and what that has noted."""

from .waiting import wait_until

APP = "late:application"
#: What a request notes that has been interrupted.
INTERRUPTED = "tapster.RequestTimeout"


def starter(serve):
    """Starts a server with so many threads, in which a request may take a second, and no worker is replaced for it."""

    def start(threads, *options, **settings):
        return serve(APP, "--threads", str(threads), "--timeout", "1", "--timeout-grace", "60", *options, **settings)

    return start


def notes(server, count):
    """What requests have noted, when it is so much."""
    found = []

    def noted():
        found.extend(server.get("/notes").json)
        return len(found) >= count

    wait_until(noted, 20, lambda: f"{count} notes, not {found}")
    return found
