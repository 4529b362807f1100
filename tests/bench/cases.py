"""The table of what is measured. A new case is one more entry here; nothing else changes.

Read by `run`; an app named here lives in `apps/`.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """One kind of request, asked of every server at each number of connections."""

    name: str
    title: str
    #: `module:callable` in `apps/`.
    app: str
    path: str = "/"
    #: The body that the app must answer with, so that a fast error is never taken for a fast server.
    expect: bytes = b"Hello, World!"
    connections: tuple[int, ...] = (8, 64)
    #: Threads of those servers that have them (the others run as they are).
    threads: int = 1
    #: More arguments for wrk: `("-H", "Connection: close")`, or `("-s", "upload.lua")` with the script in `apps/`.
    wrk: tuple[str, ...] = ()
    #: Whether the fixed answer of `floor.c` is a fair lower bound of this case.
    floor: bool = True
    #: What the app needs from PyPI beside the peers, pinned.
    packages: tuple[str, ...] = field(default=())
    #: Measured when `--case` names nothing.
    default: bool = True


CASES = (
    Case(
        name="hello",
        title="Hello-world over keep-alive",
        app="hello:app",
    ),
)
