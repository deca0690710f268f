"""The folder of bytecode for all Python processes of a checkout.

Bytecode beside the sources would make `sam build` rebuild the layers.
"""

from pathlib import Path

__all__ = ["FOLDER", "VARIABLE"]

FOLDER = str(Path(__file__).parents[3] / ".cache" / "pycache")
VARIABLE = {"PYTHONPYCACHEPREFIX": FOLDER}
