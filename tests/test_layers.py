"""The library's rooms: imports go down only, only nets/ knows flax, and each file is short."""

import ast
import importlib
import inspect
import pathlib
import pkgutil
import types

import pytest

import jgen1d

ROOT = pathlib.Path(jgen1d.__file__).parent
LAYERS = [
    {"core"}, {"maths", "nets", "targets"}, {"data", "methods"}, {"evaluation"}, {"engine"},
    {"fitting", "sweeps", "worlds"},
    {"plots"}, {"report"}, {"cli"}, {"playground"},
]  # fmt: skip
HEIGHTS = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def imports(path, everywhere=True):
    """The modules that a file imports: everywhere, or as it is imported itself."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_and_imports_go_down(path):
    assert len(path.read_text().splitlines()) <= 300
    for name in imports(path, everywhere=False):
        package, _, rest = name.partition(".")
        assert package != "experiments"
        if package == "flax":
            assert room(path) == "nets"
        if package == "jgen1d":
            above = rest.partition(".")[0]
            allowed = above == room(path) or HEIGHTS.get(above, 99) < HEIGHTS[room(path)]
            same_floor = {above, room(path)} == {"fitting", "sweeps"}  # a sweep's `result` is a fit's
            assert allowed or same_floor, f"{path} imports {name}"
    if room(path) == "methods":
        others = {name.split(".")[2] for name in imports(path) if name.startswith("jgen1d.methods.")}
        assert path.name == "__init__.py" or all(other.startswith("_") for other in others)


def test_no_module_needs_itself():
    """Module-level imports have no circle."""
    names = {
        ".".join(("jgen1d", *p.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): p for p in FILES
    }
    needs = {
        name: {i if i in names else i.rpartition(".")[0] for i in imports(path, everywhere=False)} & {*names} - {name}
        for name, path in names.items()
    }
    while ready := {name for name, needed in needs.items() if not needed}:
        needs = {name: needed - ready for name, needed in needs.items() if name not in ready}
    assert not needs


def test_no_function_shadows_a_module():
    for found in pkgutil.walk_packages([str(ROOT)], "jgen1d."):
        if not found.name.endswith("__main__"):
            parent, _, name = found.name.rpartition(".")
            importlib.import_module(found.name)
            assert isinstance(inspect.getattr_static(importlib.import_module(parent), name), types.ModuleType)
