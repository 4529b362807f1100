"""The table of attacks, by what they aim at."""

from . import chunks, exchanges, framing, heads

ATTACKS = [*framing.ROWS, *chunks.ROWS, *heads.ROWS, *exchanges.ROWS]

assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
