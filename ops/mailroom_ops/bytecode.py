"""Where bytecode goes: one folder for all that runs here.

Beside the sources, it would make `sam build` believe that a layer has changed.
"""

from pathlib import Path

__all__ = ["FOLDER", "VARIABLE"]

FOLDER = str(Path(__file__).parents[2] / ".cache" / "pycache")
VARIABLE = {"PYTHONPYCACHEPREFIX": FOLDER}
