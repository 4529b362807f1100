"""Workers that have served for long enough: another one is ready before they retire, one at a time."""

import os
import re
import signal

import pytest

from harness import Load

pytestmark = pytest.mark.tapster


def test_workers_are_replaced_after_max_lifetime_one_at_a_time_and_no_request_is_lost(serve):
    server = serve("ops:application", "--max-lifetime", "1500ms", workers=3)
    with Load(server.address, connections=4, path="/hello") as load:
        server.wait_log(r"Worker ended \(.*max_lifetime", 30, count=3)
        load.wait_answered(20)
    assert load.lost == [], server.tail()
    assert set(load.statuses) == {200}
    happened = re.findall(r"Worker (ready|retires|ended) \(.*?\)(?:: (.*))?", server.log())[3:]
    kinds = [kind for kind, _ in happened]
    assert kinds[:9] == ["ready", "retires", "ended"] * 3, server.tail()
    reasons = [why for kind, why in happened if kind == "retires"]
    served = r"it has served for [\d.]+ s, max_lifetime = 1.5 s, and another worker serves in its place"
    assert all(re.fullmatch(served, why) for why in reasons), reasons


def test_the_log_says_when_the_next_trial_is_after_workers_that_cannot_boot(serve, tmp_path):
    broken = tmp_path / "broken"
    server = serve("ops:application", env={"OPS_DIE_IF": str(broken)}, workers=2)
    broken.touch()
    os.kill(server.live()[0].pid, signal.SIGKILL)
    server.wait_log("failed to boot, 3 in a row: the next trial in 400 ms")
