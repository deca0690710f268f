"""Compile the methods of a package's dataclasses, as `compileall` compiles its modules.

usage: precompile.py PACKAGE

Python writes these methods as a text for each class and compiles it whenever the module is imported; at run time the
package finds the code by this text (`mailroom/dataclass_methods.py`). The text depends on the options, the names of the
fields and which of them have defaults, not on types and values: so each class is made here with its fields alone, and
no module has to be imported, whose libraries are in other layers.
"""

import ast
import dataclasses
import marshal
import sys
from collections.abc import Iterator
from pathlib import Path


def precompile(package: Path) -> dict[str, bytes]:
    """Return the texts of all dataclasses of a package, and the code of each."""
    texts: set[str] = set()

    def execute(text: str, globals_: dict[str, object], names: dict[str, object]) -> None:
        texts.add(text)
        exec(text, globals_, names)  # noqa: S102 - as dataclasses itself does

    vars(dataclasses)["exec"] = execute  # found before the built-in function
    for module in package.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_bytes())):
            if isinstance(node, ast.ClassDef):
                for decorator in node.decorator_list:
                    if ast.unparse(decorator).startswith("dataclass"):
                        source = "\n".join([f"@{ast.unparse(decorator)}", f"class {node.name}:", *members(node)])
                        exec(source, vars(dataclasses).copy())  # noqa: S102 - our own source
    return {text: marshal.dumps(compile(text, "<string>", "exec")) for text in sorted(texts)}


def members(node: ast.ClassDef) -> Iterator[str]:
    """Yield the lines of a class: fields with stand-ins for types and defaults, and methods without a body."""
    yield " ''"
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(name), annotation=type_, value=value):
                if "ClassVar" not in ast.unparse(type_):
                    yield f" {name}: object" + (f" = {default(value)}" if value else "")
            case ast.FunctionDef(name=name):
                yield f" def {name}(self): pass"


def default(value: ast.expr) -> str:
    """Return a default that gives the same text; of `field(…)` the options count, and how the default is made."""
    match value:
        case ast.Call(func=ast.Name("field"), keywords=keywords):
            stand_ins = {"default": "None", "default_factory": "dict", "metadata": "None"}
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in keywords}
            return f"field({', '.join(f'{name}={stand_ins.get(name, option)}' for name, option in options.items())})"
    return "None"


if __name__ == "__main__":
    package = Path(sys.argv[1])
    file = package / "__pycache__" / f"dataclass_methods.{sys.implementation.cache_tag}.bin"
    file.write_bytes(marshal.dumps(precompile(package)))
