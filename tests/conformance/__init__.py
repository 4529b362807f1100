"""HTTP/1.1 as a table: what a client sends, what becomes of it, and where gunicorn does otherwise.

`rows` says what a row is, the modules of `areas` hold them, `splits` cuts their bytes, `client` sends the pieces and
listens, and `document` writes the differences into docs/protocols.md. tests/test_conformance.py runs it all.
"""
