"""The shape of the house: imports point down only and never in a circle, and nothing loads before it is used."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "guidance"
# A layer may import those behind it and itself.
BELOW = {
    "settings": set(), "progress": set(), "cielab": set(), "deploy": set(), "fields": set(), "atomic": set(),
    "codec": {"fields"},
    "sampling": {"cielab"},
    "models": {"settings", "progress", "frame"},
    "guides": {"settings", "cielab", "fields", "codec", "sampling", "models"},
    "recipe": {"settings", "fields", "atomic", "codec", "sampling", "guides"},
    "frame": {"sampling"},
    "options": {"fields", "recipe"},
    "parts": {"frame", "recipe"},
    "tries": {"models", "recipe", "frame", "parts"},
    "engine": {"fields", "sampling", "models", "guides", "recipe", "frame", "parts", "tries"},
    "training": {"settings", "atomic", "codec", "sampling", "models", "guides", "recipe", "frame", "engine"},
    "evaluation": {
        "settings", "atomic", "cielab", "fields", "sampling", "models", "guides", "recipe", "frame", "engine",
        "training",
    },
    "bench": {"settings", "sampling", "models", "guides", "recipe", "engine", "evaluation", "ui"},
    "ui": {
        "settings", "atomic", "progress", "cielab", "fields", "codec", "sampling", "models", "guides", "recipe",
        "frame", "engine",
    },
    "scale": {
        "settings", "progress", "atomic", "cielab", "fields", "codec", "models", "guides", "recipe", "frame", "tries",
        "engine", "ui",
    },
    "__init__": {"fields", "guides", "recipe"},  # and by their names alone, when they are asked for, steer and models
    "__main__": {
        "settings", "fields", "options", "codec", "guides", "recipe", "engine", "training", "evaluation", "bench",
        "deploy", "scale", "ui",
    },
}  # fmt: skip
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def layer(path):
    """The folder or file of the package in which a file is."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path, types=True):
    """Every module that a file names in an import, anywhere in it, or but for those that types alone are for."""
    tree = ast.parse(path.read_text())
    for node in [] if types else list(ast.walk(tree)):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} names a module by where it stands"
            inside = [f"{node.module}.{name.name}" for name in node.names]
            yield from (name if name in MODULES else node.module for name in inside)


def test_every_part_has_a_layer():
    assert {layer(path) for path in PACKAGE.rglob("*.py")} == set(BELOW)
    assert all(below <= set(BELOW) for below in BELOW.values())


def test_imports_point_down_only():
    for name, path in MODULES.items():
        for imported in imports(path):
            parts = imported.split(".")
            if parts[0] == "guidance" and len(parts) > 1 and parts[1] in BELOW:
                assert parts[1] in BELOW[layer(path)] | {layer(path)}, f"{name} imports {imported}"


def test_layers_are_in_no_circle():
    assert list(TopologicalSorter(BELOW).static_order())


def graph(**options):
    """Which modules each module imports."""
    return {name: set(imports(path, **options)) & set(MODULES) for name, path in MODULES.items()}


def test_no_import_is_in_a_circle_even_inside_functions():
    whole = graph(types=False)
    list(TopologicalSorter(whole).static_order())
    with pytest.raises(CycleError):  # as it would be said
        list(TopologicalSorter(whole | {"guidance.fields": {"guidance.recipe"}}).static_order())
    assert "guidance.models.catalogue" in whole["guidance.guides.digits"]  # inside a function


def test_outside_the_page_not_even_types_go_round():
    core = {name: imported for name, imported in graph().items() if not name.startswith("guidance.ui")}
    list(TopologicalSorter(core).static_order())


def test_libraries_stay_in_their_rooms():
    rooms = {
        "gradio": {"ui"}, "spaces": {"ui"}, "open_clip": {"models"}, "transformers": {"models"},
        "accelerate": {"training"}, "ray": {"scale"}, "pyarrow": {"scale"}, "matplotlib": {"training", "evaluation"},
        "diffusers": {"models", "training", "bench"},
    }  # fmt: skip
    for path in PACKAGE.rglob("*.py"):
        roots = {name.split(".")[0] for name in imports(path)}
        assert not [name for name in roots & set(rooms) if layer(path) not in rooms[name]], path


HEAVY = ["torch", "torchvision", "diffusers", "transformers", "open_clip", "gradio", "accelerate", "numpy",
         "matplotlib", "huggingface_hub", "ray", "pyarrow"]  # fmt: skip


@pytest.mark.parametrize(
    "code",
    [
        "import guidance, guidance.recipe, guidance.__main__",
        "from guidance.__main__ import main, parser; parser().format_help()",
        "from guidance import Color, Prompt, Recipe, guides; Recipe(guides=Color('teal') + Prompt('snow'));"
        "guides.parse('digits:2026, guidance=classifier')",
        "from guidance.recipe import *; to_json(ClipRecipe(preset='quality').change(preset='fast').picture(0))",
        "from guidance.codec import pack, unpack",
    ],
)  # fmt: skip
def test_the_front_door_is_light(code):
    code += f"; import sys; loaded = set({HEAVY}) & set(sys.modules); assert not loaded, loaded"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_importing_everything_loads_no_weights():
    names = [name for name in MODULES if name != "guidance.__main__" and not name.startswith("guidance.ui")]
    code = f"import importlib; [importlib.import_module(name) for name in {names}];"
    code += "from guidance.models.cache import cache; assert not cache.held()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
