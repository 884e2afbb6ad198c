"""Was it met: what prompts name, and what networks that never guide see of it, on the page, in PNGs and in commands."""

import json
import pickle
import re

import pytest
import torch
from PIL import Image

from guidance import generate, read_digits
from guidance.__main__ import main
from guidance.guides.base import Reading
from guidance.guides.color import Color
from guidance.guides.digits import Digits
from guidance.guides.prompt import Prompt
from guidance.models import catalogue
from guidance.models.attributes import ATTRIBUTES, SYNONYMS, WORDS, named
from guidance.recipe import SEEN, ClipRecipe, DigitRecipe, Recipe
from guidance.training.landscapes import attributes, paint
from guidance.ui.html import words
from guidance.ui.runs.painting import Ask, Finished, Painting
from guidance.ui.tabs import prompt
from guidance.ui.tabs.guide import beside, shown
from tests.fake import Fake

ASKED = "a lake at dusk | the moon:-0.5 | stars:0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mountains and a lake at sunset", {"mountains": True, "lake": True, "sunset": True}),
        ("snow-covered hills, all in deep blue", {"snow": True, "hills": True, "blue": True}),
        ("a pine forest in the dark of night, polar light", {"forest": True, "night": True, "aurora": True}),
        ("the sea without a boat, no clouds and no red", {"sea": True, "boat": False, "clouds": False, "red": False}),
        ("a lakeland of sunsets", {}),
        ("un chat", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_a_sentence_names_attributes_by_all_their_words(text, expected):
    assert named(text) == expected


def test_every_phrase_of_a_caption_names_its_attribute_alone():
    assert list(SYNONYMS) == list(WORDS) == list(ATTRIBUTES)
    assert all(named(f"So {phrase}.") == {name: True} for name in ATTRIBUTES for phrase in SYNONYMS[name] + WORDS[name])


def test_readings_are_of_what_is_named_and_a_negative_weight_asks_for_absence():
    seen = {"lake": 0.9, "sunset": 0.2, "moon": 0.25, "stars": 0.99}
    assert Prompt(ASKED).readings(seen) == (
        Reading("lake", "lake", 0.9), Reading("sunset", "no sunset", 0.8), Reading("no moon", "no moon", 0.75)
    )  # fmt: skip
    assert [one.met for one in Prompt(ASKED).readings(seen | {"moon": 0.7})] == [True, False, False]
    assert Prompt(ASKED).readings({}) == Prompt("un chat").readings(seen) == Color("teal").readings(seen) == ()
    assert Digits("3").readings({"3": 0.2, "8": 0.7}) == (Reading("3", "8", 0.7),)
    assert Digits("3").readings({}) == Digits("3").readings(seen) == ()
    both = Recipe(guides=Prompt("a lake") + Color("teal") + Prompt("a pond in the mist", where="left"))
    assert [one.asked for one in both.readings(0, seen | {"mist": 0.1})] == ["lake", "mist"]
    assert DigitRecipe(digits="37", count=2).readings(3, {"7": 0.6}) == (Reading("7", "7", 0.6),)


def test_the_judge_sees_what_is_painted():
    seeds = torch.arange(16) + 70_000_000
    found = catalogue.seen("landscapes", paint(seeds))
    assert all(list(chances) == list(ATTRIBUTES) for chances in found)
    shows = torch.tensor([list(chances.values()) for chances in found])
    assert shows.min() >= 0 and shows.max() <= 1
    assert ((shows > 0.5) == attributes(seeds)).float().mean() > 0.97


def test_the_last_frame_tells_what_is_seen_and_takes_it_to_another_process():
    *before, last = generate(ClipRecipe(steps=3, count=2))
    assert [frame.seen for frame in before] == [[{}, {}]] * (len(before))
    assert last.large is not None and last.seen == catalogue.seen("landscapes", last.x0) and len(last.seen) == 2
    assert pickle.loads(pickle.dumps(last)).seen == last.seen
    *_, last = generate(DigitRecipe(digits="2026", steps=4))
    read = [(max(chances, key=chances.get), max(chances.values())) for chances in last.seen]
    assert read == [(str(digit), pytest.approx(sure, abs=1e-3)) for digit, sure in read_digits(last.images())]


def view(recipe: Recipe, say=str, render=prompt.render) -> str:
    """The pictures of a finished run, unguided and guided."""
    ask = Ask(recipe, beside(recipe, "unguided") if len(recipe.guides) == 1 else {"Guided": recipe})
    return [change["view"] for change in Painting(Fake(), render, ask, Finished(), say).go() if "view" in change]


def marks(html: str) -> list[tuple[str, str, str]]:
    """Of each reading that a view shows: whether it is met, what is said of it, and the text."""
    return re.findall(r'class="g-seen" data-met="(\w+)" role="img" aria-label="([^"]*)".*?>(.*?) <i>', html)


def test_each_picture_of_a_prompt_says_what_is_seen_of_it_once_it_is_finished():
    first, *_, last = view(ClipRecipe(prompt="a lake | the moon:-1", steps=2))
    assert not marks(first) and "independent network" not in first
    unguided, guided = last.split('class="g-shot"')[1:]
    assert marks(unguided) == [("false", "Asked for lake, seen: no lake, 80% sure", "\u2717 no lake"),
                               ("true", "Asked for no moon, seen: no moon, 70% sure", "\u2713 no moon")]  # fmt: skip
    assert [met for met, *_ in marks(guided)] == ["true", "true"]
    assert "Under each picture: what an independent network sees of it." in last
    *_, last = view(ClipRecipe(prompt="un chat", steps=2))
    assert not marks(last) and "independent network" not in last


def test_pictures_of_a_blend_say_it_too_and_in_chinese():
    recipe = Recipe(guides=Prompt("a lake") + Color("teal"), steps=2, count=2)
    *_, last = view(recipe, words.chinese, shown)
    said = [told for _, told, _ in marks(last)]
    assert said == ["要求 lake，看到 lake，把握 90%"] * 2 and "一个独立的网络" in last
    *_, last = view(ClipRecipe(prompt="the moon", steps=2), words.chinese)
    assert marks(last)[0][1] == "要求 moon，看到 没有 moon，把握 70%"


def test_what_was_kept_for_comparison_is_judged_by_the_prompt_that_it_stands_beside():
    cache = Finished()
    for asked, expected in (("a lake", "lake"), ("the moon", "moon")):
        recipe = ClipRecipe(prompt=asked, steps=2)
        run = Painting(compute := Fake(), prompt.render, Ask(recipe, beside(recipe, "unguided")), cache)
        *_, last = [change["view"] for change in run.go() if "view" in change]
        assert [told for *_, told in marks(last)][0] == f"\u2717 no {expected}"
    assert compute.asked == [recipe]


def test_the_command_line_says_it_and_the_png_holds_it(tmp_path, capsys):
    assert main(["clip", "a lake | snow:-0.5", "--steps", "2", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / '000.png'}\n"
    sees = r"guidance: In 000\.png an independent network sees . (no )?lake \d+%, . (no )?snow \d+%\n"
    assert re.search(sees, said.err)
    with Image.open(tmp_path / "000.png") as image:
        lake, snow = json.loads(image.text[SEEN])
    assert (lake["asked"], snow["asked"]) == ("lake", "no snow") and 0.5 <= lake["sure"] <= 1
    assert lake["met"] == (lake["seen"] == "lake")
    assert main(["color", "teal", "--steps", "1", "--out", str(tmp_path / "b")]) == 0
    assert "independent" not in capsys.readouterr().err
    with Image.open(tmp_path / "b" / "000.png") as image:
        assert SEEN not in image.text
