"""The files of one deployment: the test application in a folder, in the version and condition that a test wants."""

from pathlib import Path

SOURCE = Path(__file__).parents[1] / "apps" / "deployed.py"


class Deployment:
    """A project folder, seen as /srv/app by the machine and as /app by the container."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # Read by the server's own user.
        folder.chmod(0o755)

    def roll_out(self, version="one", at_import=""):
        """Writes the application; `at_import` is code that runs when it is imported."""
        source = SOURCE.read_text().replace('VERSION = "one"', f'VERSION = "{version}"')
        self.write("deployed.py", f"{source}\n\n{at_import}\n")

    def roll_out_broken(self):
        """Writes an application that cannot be imported."""
        self.roll_out("broken", at_import="this is no Python")

    def write(self, name, text):
        """Puts a file into place whole, as a deployment tool does: never half of it can be seen."""
        unfinished = self.folder / f".{name}.new"
        unfinished.write_text(text)
        unfinished.chmod(0o644)
        unfinished.rename(self.folder / name)
