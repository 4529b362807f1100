"""The house's rules that a compiler does not check: which crate may know which, and how a source file looks."""

import json
import re
import statistics
import subprocess

import pytest

from harness import ROOT

pytestmark = pytest.mark.tapster

#: The arrows of docs/ARCHITECTURE.md: each crate and those of ours that it may name. Nothing points upwards.
ARROWS = {
    "tapster": {"tapster-ipc", "tapster-sys", "tapster-config"},
    "tapster-worker": {
        "tapster-wire",
        "tapster-python",
        "tapster-sharing",
        "tapster-ipc",
        "tapster-sys",
        "tapster-config",
    },
    "tapster-sharing": {"tapster-wire", "tapster-ipc", "tapster-sys", "tapster-config"},
    "tapster-python": {"tapster-wire"},
    "tapster-ipc": {"tapster-sys"},
    "tapster-config": set(),
    "tapster-wire": set(),
    "tapster-sys": set(),
}
#: Crates that only one of ours may use.
ONLY_IN = {
    "tapster-config": {"serde", "toml", "clap"},
    "tapster-python": {"pyo3"},
    "tapster-sys": {"libloading", "libc"},
}
#: Where unsafe may stand.
UNSAFE = ("arbiter/sys/", "worker/python/")
CRATES = ("arbiter", "arbiter/ipc", "arbiter/sys", "config", "worker", "worker/wire", "worker/sharing", "worker/python")
MOST_LINES = 450
MEDIAN_LINES = 180


def sources():
    """Every Rust file of ours, as (path from the root, text)."""
    found = []
    for crate in CRATES:
        for folder in ("src", "tests", "benches", "examples"):
            for path in sorted((ROOT / crate / folder).rglob("*.rs")):
                found.append((str(path.relative_to(ROOT)), path.read_text()))
    assert len(found) >= len(CRATES)
    return found


def code(text):
    """The text without comments, and without the test modules at its end."""
    text = re.split(r"^#\[cfg\(test\)\]\nmod \w+ \{", text, maxsplit=1, flags=re.MULTILINE)[0]
    return "\n".join(re.sub(r"//.*", "", line) for line in text.splitlines())


def is_test(path):
    """Whether a file holds tests only."""
    return "/tests/" in path or path.endswith(("/tests.rs", "_tests.rs", "_test.rs"))


@pytest.fixture(scope="module")
def packages():
    """The workspace as cargo sees it: name -> {dependency: kind}, where kind is None for a normal one."""
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1", "--offline"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout)["packages"]
    return {each["name"]: {one["name"]: one["kind"] for one in each["dependencies"]} for each in found}


def test_each_crate_knows_only_those_below_it(packages):
    assert set(packages) == set(ARROWS)
    for name, dependencies in packages.items():
        assert {each for each in dependencies if each.startswith("tapster")} == ARROWS[name], name


def test_some_crates_are_used_in_one_place_only(packages):
    for owner, crates in ONLY_IN.items():
        for name, dependencies in packages.items():
            shared = {each for each in crates if dependencies.get(each, "absent") is None}
            assert name == owner or not shared, f"{name} uses {shared}, which are {owner}'s"


def test_unsafe_stands_in_two_crates_and_the_others_forbid_it():
    for path, text in sources():
        if not path.startswith(UNSAFE):
            assert not re.search(r"\bunsafe\b(?!_)", code(text)), f"{path} has unsafe code"
    for crate in CRATES:
        roots = [ROOT / crate / "src" / name for name in ("lib.rs", "main.rs")]
        for root in filter(lambda each: each.exists(), roots):
            forbids = "#![forbid(unsafe_code)]" in root.read_text()
            assert forbids != f"{crate}/".startswith(UNSAFE), root


def test_each_unsafe_block_says_why_it_is_sound():
    for path, text in sources():
        blocks = len(re.findall(r"\bunsafe \{", code(text)))
        reasons = len(re.findall(r"// SAFETY:", text))
        assert blocks == 0 or reasons > 0, f"{path} has {blocks} unsafe blocks and not one reason"


def test_each_file_opens_with_what_it_is_for():
    for path, text in sources():
        assert text.startswith("//! "), f"{path} does not open with `//!`"


def test_files_are_short():
    lengths = {path: text.count("\n") for path, text in sources()}
    too_long = {path: lines for path, lines in lengths.items() if lines > MOST_LINES}
    assert not too_long, too_long
    assert statistics.median(lengths.values()) <= MEDIAN_LINES


def test_nothing_is_left_to_be_done_later():
    for path, text in sources():
        marks = re.findall(r"\b(TODO|FIXME|XXX|HACK|todo!|unimplemented!)", text)
        assert not marks, f"{path}: {marks}"


def test_nothing_panics_outside_tests():
    for path, text in sources():
        if not is_test(path):
            found = re.findall(r"\.unwrap\(\)|\.expect\(|\bpanic!|\bdbg!", code(text))
            assert not found, f"{path}: {found}"


def test_names_say_what_things_are():
    banned = re.compile(r"\b(?:struct|enum|trait|mod|fn) (\w*(?:[Mm]anager|[Hh]andler|[Uu]tils?|[Hh]elpers?)|get_\w+)\b")
    for path, text in sources():
        found = banned.findall(code(text))
        assert not found, f"{path}: {found}"


def test_documents_name_no_machine():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(path for path in (ROOT / "deploy").rglob("*") if path.is_file())]
    assert pages
    for page in pages:
        found = re.findall(r"/(?:home/\w+|Users/\w+|root/|work/\w+)\S*", page.read_text())
        assert not found, f"{page.relative_to(ROOT)}: {found}"


def test_comments_cite_names_and_not_line_numbers():
    for path, text in sources():
        found = re.findall(r"//.*\b\w+\.rs:\d+|//.*\blines? \d+ of\b", text)
        assert not found, f"{path}: {found}"


def test_the_suites_own_files_open_with_what_they_are_for_and_are_short():
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text()
        assert text.startswith('"""'), f"{path.relative_to(ROOT)} does not open with a docstring"
        assert text.count("\n") <= 450, f"{path.relative_to(ROOT)} is too long"
