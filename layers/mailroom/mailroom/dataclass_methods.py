"""The methods of our dataclasses, from bytecode that the layer was built with (`layers/mailroom/precompile.py`).

Python writes the methods of a dataclass as a text and compiles it whenever its module is imported, although the module
itself is compiled: that was a seventh of the CPU of send's cold start. A text that is not in the file (of a library's
class, or by another version of Python) is compiled as ever; a checkout has no such file.
"""

import dataclasses
import marshal
import sys
from typing import Any

__all__ = ["install"]

FILE = f"__pycache__/dataclass_methods.{sys.implementation.cache_tag}.bin"  # the tag is that of the bytecode beside it


def install(package: str) -> None:
    """Make `dataclasses` use the bytecode in a package's folder, where there is some."""
    try:
        with open(f"{package}/{FILE}", "rb") as file:
            compiled: dict[str, bytes] = marshal.loads(file.read())  # noqa: S302 - bytecode, as in the files beside it
    except FileNotFoundError:
        return

    def execute(text: str, globals_: dict[str, Any], names: dict[str, Any]) -> None:
        code = compiled.get(text)
        exec(marshal.loads(code) if code else text, globals_, names)  # noqa: S102, S302 - as dataclasses itself does

    vars(dataclasses)["exec"] = execute  # found before the built-in function
