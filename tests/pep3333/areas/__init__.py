"""The rules by area. A rule's function is given an `Ask`, and returns, or raises what is wrong."""

from . import calling, declaring, environ, failing, files, flowing, http, lengths, streams, strings

#: Every rule, in the areas' order.
RULES = tuple(
    rule
    for area in (calling, environ, streams, declaring, lengths, flowing, strings, failing, http, files)
    for rule in area.AREA.rules
)
