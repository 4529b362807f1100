"""Attempts to have bytes of one client's taken for another's request: the table of attacks, and what must hold."""

from .attack import BODY, PIPELINED, REFUSED, Attack
from .scene import DirectScene, Scene
from .table import ATTACKS

__all__ = ["ATTACKS", "BODY", "PIPELINED", "REFUSED", "Attack", "DirectScene", "Scene"]
