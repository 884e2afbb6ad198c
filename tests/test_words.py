"""The page's Chinese: nothing that the page says is left in English, and no entry is left over."""

import ast
import json
import re
from pathlib import Path

import pytest

from guidance import guides, settings
from guidance.fields import choices, limits, look, named
from guidance.guides.prompt import CLIPS
from guidance.recipe import Recipe
from guidance.ui import page
from guidance.ui.html import words
from guidance.ui.tabs.prompt import EXAMPLES
from tests.fake import Fake

CODE = Path(page.__file__).parent.parent
# Their sentences are for whoever writes code, or commands.
LIBRARY = ("__main__.py", "options.py", "models/hand.py", "guides/loss.py", "scale/rows.py", "scale/batch.py")
NO_FILE = "A model in hand or a loss of your own runs in the library: no file can hold its recipe."
SAYS = {"RecipeError": 0, "GuidanceError": 0, "ModelError": 0, "say": 0, "status": 1}  # which value is for the user
# The same in both languages: names, and prompts, which the built-in CLIP reads in English.
SAME = {"DDIM", "DDPM", "DPM-Solver++", "2026", "\N{GREEK SMALL LETTER PI}", *list(CLIPS.values())[1:], *EXAMPLES}


def spoken(text: str) -> bool:
    """Whether a text is all said in Chinese, apart from names inside it."""
    if text in words.CHINESE:
        return True
    found = next(filter(None, (pattern.fullmatch(text) for pattern, _ in words.patterns())), None)
    return bool(found) and all(spoken(part) or not re.search("[a-z]+ [a-z]+ [a-z]+", part) for part in found.groups())


def text(node: ast.AST) -> str:
    """A text in the code, {} for what varies."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    value = node.value if isinstance(node, ast.Constant) else ""
    return re.sub(r"\{\w+(:\w+)?\}", "{}", value) if isinstance(value, str) else ""


def nodes(kind: type[ast.AST], path: Path) -> list:
    """The parts of a file of one kind."""
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kind)]


def sentences(path: Path) -> set[str]:
    """What a file says to the user, outright or by a name that was given to it."""
    calls = [(SAYS.get(getattr(node.func, "id", getattr(node.func, "attr", "")), 9), node.args)
             for node in nodes(ast.Call, path)]  # fmt: skip
    said = [values[place] for place, values in calls if place < len(values)]
    used = {name.id for part in said for name in ast.walk(part) if isinstance(name, ast.Name)}
    assigned = [node.value for node in nodes(ast.Assign, path) if getattr(node.targets[0], "id", "") in used]
    return {one for one in map(text, said + assigned) if re.search("[a-z]{3}", one)}


@pytest.fixture(scope="module")
def shown() -> set[str]:
    """All texts of the page as it is built, public or not."""
    found, patch = set(), pytest.MonkeyPatch()
    patch.setattr(words, "chinese", lambda text: found.add(text) or text)
    for public in (True, False):
        patch.setattr(settings, "PUBLIC", public)
        page.build(Fake())
    patch.undo()
    return found


def test_every_text_of_the_page_has_a_chinese_one(shown):
    assert len(shown) > 150
    assert not {said for said in shown if not spoken(said)} - SAME


@pytest.mark.parametrize("kind", [*guides.every().values(), Recipe])
def test_every_field_has_one_with_its_values_and_so_has_its_name_in_sentences(kind):
    said = {getattr(kind, "label", "Model"), getattr(kind, "about", "Model"), getattr(kind, "curve", "colour")}
    for name, info in kind.model_fields.items():
        said |= {info.title, info.description, *look(info).get("labels", {}).values()} - {None}
        said |= {named(name, info)} if limits(info) or choices(info) else set()
    for value in kind.brings if hasattr(kind, "brings") else ():
        said.add(kind.slider(kind.brings[value].get(kind.ruled_by, value))[2])
    assert not {one for one in said if not spoken(one)} - SAME


@pytest.mark.parametrize("path", [path for path in CODE.rglob("*.py") if not str(path).endswith(LIBRARY)],
                         ids=lambda path: str(path.relative_to(CODE)))  # fmt: skip
def test_every_sentence_of_a_run_or_an_error_has_one(path):
    assert not {said for said in sentences(path) if not spoken(said.replace("{}", "7"))} - {NO_FILE}


def test_no_entry_is_left_over(shown):
    kinds = (*guides.every().values(), Recipe)
    known = shown | {named(*field) for kind in kinds for field in kind.model_fields.items()}
    known |= {said for path in CODE.rglob("*.js") for said in re.findall(r"say\('([^']+)'\)", path.read_text())}
    for path in CODE.rglob("*.py"):
        known |= {text(node) for node in nodes((ast.Constant, ast.JoinedStr), path)}
    # A text of several parts is in the code as a longer pattern, or as a shorter one.
    patterns = [re.compile("(.*)".join(map(re.escape, one.split("{}"))), re.DOTALL) for one in known
                if "{}" in one and re.search("[a-z]{3}", one)]  # fmt: skip
    left = []
    for entry in json.loads((CODE / "ui" / "html" / "zh.json").read_text()).keys() - known:
        mine = re.compile("(.*)".join(map(re.escape, entry.split("{}"))), re.DOTALL)
        if not any(map(mine.fullmatch, known)) and not any(one.fullmatch(entry) for one in patterns):
            left.append(entry)
    assert not left
