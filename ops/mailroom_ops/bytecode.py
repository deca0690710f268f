"""Where bytecode goes: one folder for all that runs here, beside nothing that `sam build` packs."""

from pathlib import Path

__all__ = ["FOLDER", "VARIABLE"]

FOLDER = str(Path(__file__).parents[2] / ".cache" / "pycache")
VARIABLE = {"PYTHONPYCACHEPREFIX": FOLDER}
