"""PEP 3333 as a table: what its sentences bind a server to, and what each server does.

`sentences` lists every sentence of the PEP that demands something, of whomever; `areas` holds the rules, each of which
asks one thing of a running server (`ask`) and says of which sentence it is; `apps` is the application that they are
asked of. tests/test_wsgi_conformance.py asks the server under test; `compare` asks Tapster and its peers (`peers`) and
writes the table of docs/wsgi.md (`document`).
"""
