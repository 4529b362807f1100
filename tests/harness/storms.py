"""What the tests have in common in which a server is under the load of the exact client while something is done to it."""

from .waiting import wait_until


def deploy(folder, version):
    """Writes the application, as a deploy does; a broken one where there is no version."""
    text = f'from numbered import signed\napplication = signed("{version}")\n' if version else "def broken(:\n"
    (folder / "deployed.py").write_text(text)


def wait_more(load, count=50):
    """Waits until so many more requests have been answered."""
    goal = load.answered + count
    wait_until(lambda: load.answered >= goal, 60, lambda: f"{count} more answers; {load.described()}")
