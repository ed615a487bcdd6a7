"""The sample games that keep to the contract of killing.py, one line a language. Each is played, and killed, by tests."""

import sys

from services.local import ROOT
from tests.clients.csharp.compiled import CompiledSample
from tests.clients.godot import godot_sample
from tests.clients.killing import Sample
from tests.clients.scripts import NODE

_SAMPLES = ROOT / "frontend" / "clients" / "samples"

SAMPLES = {
    "python": Sample([sys.executable, str(_SAMPLES / "python" / "game.py")]),
    "javascript": Sample([*NODE, str(_SAMPLES / "javascript" / "game.js")]),
    "csharp": CompiledSample(()),
    "godot": godot_sample(),
}
