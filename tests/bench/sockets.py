"""What the kernel knows of connections to a local port. Asked while crowds come and go, and before many are made."""

import time
from pathlib import Path

from processes import ServerFailed

_ESTABLISHED = "01"
_POLL_S = 0.1
_SETTINGS = Path("/proc/sys/net/ipv4")


def lacking_ports() -> str:
    """Why a client on this machine would run out of ports where each request is a new connection; empty if it won't.

    The side that closes first keeps the pair of ports for a minute (TIME_WAIT). Where that is the server, its next
    connection from the same port is let in at once. Where it is the client, the port may be used again after a second
    if `tcp_tw_reuse` says so, and 28,000 of them a second are more than a server on one core takes with its client's
    help; else the ports are used up within the first second.
    """
    if int((_SETTINGS / "tcp_tw_reuse").read_text()):
        return ""
    return "clients would run out of ports: `sysctl net.ipv4.tcp_tw_reuse=2` lets them use old ones again"


def established(port: int) -> int:
    """How many clients of this machine are connected to a port, accepted or not."""
    wanted = f":{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for line in lines if (fields := line.split())[2].endswith(wanted) and fields[3] == _ESTABLISHED)


def wait_established(port: int, count: int, deadline_s: float) -> None:
    """Returns when so many clients are connected; raises ServerFailed when the deadline passes before."""
    end = time.monotonic() + deadline_s
    while (there := established(port)) < count:
        if time.monotonic() > end:
            raise ServerFailed(f"only {there} of {count} connections were made within {deadline_s:.0f} s")
        time.sleep(_POLL_S)


def wait_gone(port: int, deadline_s: float) -> None:
    """Returns when no client is connected, or after the deadline: what is left will show in what is measured next."""
    end = time.monotonic() + deadline_s
    while established(port) and time.monotonic() < end:
        time.sleep(_POLL_S)
