"""What is known to fall short, by the name of the test that shows it. Each is a defect to be mended, and its line goes with it.

Read by `conftest.py`, which skips these tests and says so.
"""

#: A part of a test's id, and what is wrong.
KNOWN = {
}
