"""The ways in which a row's bytes are cut into pieces: a piece is one send, and before it comes a pause in seconds."""

import itertools
import random

#: Rows of up to so many bytes are cut everywhere, longer ones at a sample of places.
EVERYWHERE = 300
#: How many places a long row is cut at.
SAMPLE = 60
#: How many random cuts a row gets.
RANDOM_CUTS = 3
#: The pause before each byte that drips.
DRIP_PAUSE = 0.05
#: The longest pause between two pieces of a random cut.
LONGEST_PAUSE = 0.004

MODES = ("whole", "bytes", "parts", "random")


def plans(row, mode, seed):
    """Every plan of a mode for a row, the whole bytes first: (what to call it, [(pause before, piece), ...])."""
    drip = [(DRIP_PAUSE, row.drip[at : at + 1]) for at in range(len(row.drip))]
    cuts = [] if mode == "whole" or len(row.sent) < 2 else _cuts(row.sent, mode, random.Random(f"{seed} {row.rule}"))
    return [(name, [*pieces, *drip]) for name, pieces in [("whole", [(0, row.sent)]), *cuts]]


def _cuts(data, mode, chance):
    if mode == "bytes":
        return [("byte by byte", _cut(data, _places(data, chance, EVERYWHERE)))]
    if mode == "parts":
        return [(f"split at {at}", _cut(data, [at])) for at in _places(data, chance, SAMPLE)]
    return [_random(data, chance) for _ in range(RANDOM_CUTS)]


def _places(data, chance, most):
    if len(data) <= EVERYWHERE:
        return range(1, len(data))
    # The beginning and the end are where the rules are; between them is what makes the row long.
    edges = [*range(1, most // 3), *range(len(data) - most // 3, len(data))]
    return sorted({*edges, *chance.sample(range(1, len(data)), most // 3)})


def _random(data, chance):
    count = min(chance.randint(1, 9), len(data) - 1)
    places = sorted(chance.sample(range(1, len(data)), count))
    cut = [(chance.uniform(0, LONGEST_PAUSE), piece) for _, piece in _cut(data, places)]
    return f"split at {places} with pauses", cut


def _cut(data, places):
    bounds = [0, *places, len(data)]
    return [(0, data[start:end]) for start, end in itertools.pairwise(bounds)]
