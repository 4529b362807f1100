"""wrk beside a scenario, for as long as that takes, and the errors that it counts. Used by `upheavals`."""

import re
import signal
import subprocess
from dataclasses import dataclass

_FOR_EVER = "3600s"
_STOP_S = 30


@dataclass
class Storm:
    """What wrk has seen."""

    requests: int = 0
    connect: int = 0
    read: int = 0
    write: int = 0
    timeout: int = 0
    #: Answers with another status than 2xx or 3xx.
    refused: int = 0
    _process: subprocess.Popen | None = None

    @classmethod
    def begin(cls, port: int) -> "Storm":
        """Starts it: sixteen connections that are kept."""
        # Who waits for longer than this is lost, and not only late.
        command = ["wrk", "-t1", "-c16", f"-d{_FOR_EVER}", "--timeout", "60s", f"http://127.0.0.1:{port}/1?0,100"]
        return cls(_process=subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))

    def end(self) -> "Storm":
        """Ends it, and reads what it says."""
        self._process.send_signal(signal.SIGINT)
        text, _ = self._process.communicate(timeout=_STOP_S)
        total = re.search(r"(\d+) requests in", text)
        self.requests = int(total[1]) if total else 0
        if errors := re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text):
            self.connect, self.read, self.write, self.timeout = map(int, errors.groups())
        if refused := re.search(r"Non-2xx or 3xx responses: (\d+)", text):
            self.refused = int(refused[1])
        return self
