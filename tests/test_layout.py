"""The shape of the house: imports point down only, nothing loads at import, the heart stays small."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "guidance"
# A layer may import those behind it and itself.
BELOW = {
    "sampling": set(), "losses": set(), "settings": set(), "checks": set(), "sheets": set(),
    "progress": set(), "deploy": set(),
    "recipes": {"checks"}, "metadata": {"checks", "recipes"},
    "models": {"settings", "progress"},
    "generation": {"settings", "checks", "recipes", "losses", "models", "sampling"},
    "training": {"settings", "sheets", "models", "sampling"},
    "evaluation": {"settings", "sheets", "recipes", "losses", "models", "sampling", "generation", "training"},
    "bench": {"settings", "recipes", "losses", "models", "sampling", "generation"},
    "ui": {"settings", "progress", "sheets", "metadata", "checks", "recipes", "generation"},
    "__init__": {"metadata", "checks", "recipes", "generation"},
    "__main__": {
        "settings", "metadata", "checks", "recipes", "generation", "training", "evaluation", "bench", "deploy",
        "__init__",
    },
}  # fmt: skip


def imports(path):
    """Every module that a file names in an import, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_imports_point_down_only():
    for path in PACKAGE.rglob("*.py"):
        layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "guidance" and len(parts) > 1 and (PACKAGE / parts[1]).with_suffix("").name in BELOW:
                assert parts[1] in BELOW[layer] | {layer}, f"{path} imports {name}"


def test_libraries_stay_in_their_rooms():
    for path in PACKAGE.rglob("*.py"):
        layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        roots = {name.split(".")[0] for name in imports(path)}
        assert "gradio" not in roots or layer == "ui", path
        assert "open_clip" not in roots or layer == "models", path
        assert "accelerate" not in roots or layer == "training", path


def test_importing_everything_loads_no_weights_and_the_front_door_is_light():
    code = "import sys, guidance, guidance.recipes, guidance.__main__; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    code = "import guidance.bench; from guidance.models.cache import cache; assert not cache.held()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_heart_stays_small():
    lines = sum(len(path.read_text().splitlines()) for path in (PACKAGE / "sampling").glob("*.py"))
    assert lines < 250
