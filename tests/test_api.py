"""The API and what else the server answers, over a fake: recipes in and out, sentences, and what must stay shut."""

import json
import math
import re
from collections.abc import Iterator

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from guidance import guides
from guidance.fields import RecipeError
from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.guides.prompt import Prompt
from guidance.recipe import NO_RECIPE, SEEN, ColorRecipe, Recipe, from_flat, read_png, to_json
from guidance.ui import page
from guidance.ui.tabs.blend import SUNSET
from tests.fake import API, COLOUR, LISTED, SCALE, WRONG, Fake, Ridges

# The endpoints of version 0.1: parameters, in order, with their defaults.
COLOR = [
    ("color", "#e0703c"), ("model", "landscapes"), ("text", ""), ("negative", ""), ("text_scale", 7.5), ("loss", None),
    ("scale", None), ("method", "shortcut"), ("rule", "normalized"), ("weight", None), ("start", None), ("stop", 1.0),
    ("solver", None), ("steps", None), ("seed", 0), ("count", 1), ("batched", False), ("where", "everywhere"),
    ("mask", ""), ("size", "full"),
]  # fmt: skip
CLIP = [
    ("prompt", "mountains and a lake at sunset"), ("image", ""), ("clip", "landscapes"), ("model", "landscapes"),
    ("text", ""), ("negative", ""), ("text_scale", 7.5), ("preset", "fast"), ("rule", None), ("scale", None),
    ("method", None), ("weight", None), ("cuts", None), ("travel", None), ("candidates", None), ("start", 0.0),
    ("stop", None), ("solver", None), ("eta", None), ("steps", None), ("seed", 0), ("count", 1), ("batched", False),
    ("where", "everywhere"), ("mask", ""), ("size", "full"), ("detail", None),
    ("view", "whole"), ("tries", None),
]  # fmt: skip
DIGITS = [
    ("digits", "0123456789"), ("guidance", "classifier-free"), ("scale", None), ("conditioning", "embedding"),
    ("start", None), ("stop", None), ("solver", "dpm++"), ("steps", 15), ("seed", 0), ("count", 1), ("batched", False),
]  # fmt: skip
SAMPLER = [
    ("model", "landscapes"), ("text", ""), ("negative", ""), ("text_scale", 7.5), ("solver", "ddim"), ("eta", 0.0),
    ("travel", 0), ("candidates", 1), ("steps", 40), ("seed", 0), ("count", 1), ("batched", False), ("size", "full"),
]  # fmt: skip
BY_LOSS = [
    ("start", 0.0), ("stop", 1.0), ("rule", "normalized"), ("scale", None), ("method", "shortcut"), ("weight", None),
    ("where", "everywhere"), ("mask", ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def ridges() -> Iterator[None]:
    """A guide that a package from elsewhere has brought."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guides, "foreign", lambda: {"ridges": Ridges})
        yield


@pytest.fixture(scope="module")
def demo(ridges) -> gr.Blocks:
    """A page over a fake."""
    return page.build(Fake(weights="0123456789ab"))


@pytest.fixture(scope="module")
def url(demo) -> Iterator[str]:
    """Where it is served."""
    yield page.launch(demo, host="127.0.0.1", port=None, quiet=True)
    demo.close()


@pytest.fixture(scope="module")
def client(url, tmp_path_factory) -> Client:
    """Gradio's own client."""
    return Client(url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"), analytics_enabled=False)


def recipes(files: list) -> list[Recipe]:
    """The recipes inside the files that the client has put down, apart from what every one says of the weights."""
    found = [read_png(file["path"] if isinstance(file, dict) else file) for file in files]
    assert all(recipe.weights == "0123456789ab" for recipe in found)
    return [recipe.replace(weights="") for recipe in found]


def test_the_api_gives_pngs_that_carry_their_recipes(client):
    files = client.predict(color="rgba(10, 20, 30, 1)", steps=2, seed=5, count=2, api_name="/color")
    recipe = ColorRecipe(color="#0a141e", steps=2, seed=5, count=2)
    assert recipes(files) == [recipe.picture(0), recipe.picture(1)]


def test_the_api_has_the_recipe_s_fields_and_defaults_and_no_other_endpoint(client):
    endpoints = client.view_api(return_format="dict", print_info=False)
    expected = {
        "/color": COLOR, "/clip": CLIP, "/digits": DIGITS, "/brightness": [("level", 0.8), *BY_LOSS, *SAMPLER],
        "/ridges": [("amount", 0.25), ("along", "rows"), ("sizes", 3), *BY_LOSS, *SAMPLER],
    }  # fmt: skip
    names = [f"/{guides.endpoint(kind)}" for kind in guides.every().values()]
    assert list(endpoints["named_endpoints"]) == [*names, "/paint"] and set(expected) < set(names)
    assert not endpoints["unnamed_endpoints"]
    for name, parameters in expected.items():
        described = endpoints["named_endpoints"][name]["parameters"]
        assert [(p["parameter_name"], p["parameter_default"]) for p in described] == parameters
        assert all(p["parameter_has_default"] for p in described)
        kind = guides.find(name[1:])
        assert from_flat(kind, dict(parameters)) == from_flat(kind, {})
    (recipe,) = endpoints["named_endpoints"]["/paint"]["parameters"]
    assert (recipe["parameter_name"], recipe["parameter_has_default"]) == ("recipe", False)


def test_the_api_s_pngs_say_what_is_seen_of_what_was_asked(client):
    def seen(**values) -> list:
        files = [Image.open(path) for path in client.predict(**values)]
        return [[(one["asked"], one["seen"], one["met"]) for one in json.loads(file.text.get(SEEN, "[]"))]
                for file in files]  # fmt: skip

    lake = [("lake", "lake", True), ("moon", "no moon", False)]
    assert seen(prompt="a lake under the moon", steps=1, count=2, api_name="/clip") == [lake, lake]
    assert seen(digits="29", steps=1, api_name="/digits") == [[("2", "2", True)], [("9", "4", False)]]
    assert seen(steps=1, api_name="/color") == [[]]


@pytest.mark.parametrize("name", ["color", "clip", "digits", "brightness", "ridges"])
def test_an_endpoint_that_is_told_nothing_paints_by_the_defaults(client, name):
    recipe = from_flat(guides.find(name), {})
    assert recipes(client.predict(api_name=f"/{name}")) == [recipe.picture(k) for k in range(len(recipe.seeds))]


@pytest.mark.parametrize(("values", "expected"), [row for row in WRONG if row[0].get("scale") is not math.nan])
def test_the_api_answers_bad_input_with_the_recipe_s_sentence(client, values, expected):
    with pytest.raises(AppError, match=f"^{re.escape(expected.format(**API))}$"):
        client.predict(**values, api_name="/color")


def test_a_recipe_of_several_guides_is_painted_and_comes_back_picture_by_picture(client):
    guides = Prompt("a lake at dusk", scale=0.1, where="left") + Color("teal", mask=SUNSET)
    recipe = Recipe(guides=guides, steps=2, seed=7, count=2)
    assert recipes(client.predict(to_json(recipe), api_name="/paint")) == [recipe.picture(0), recipe.picture(1)]
    old = ColorRecipe(color="red", batched=True, size="native")  # such a text may be version 0.1's
    typed = '{"guides": [{"guide": "brightness", "level": "0.2"}, {"guide": "ridges"}], "steps": 2}'
    expected = Recipe(guides=Brightness(0.2) + Ridges(), steps=2)
    assert recipes(client.predict(typed, api_name="/paint")) == [expected]
    assert recipes(client.predict('{"kind": "color", "color": "red"}', api_name="/paint")) == [old]
    plain = ColorRecipe(steps=1).unguided()
    assert recipes(client.predict(to_json(plain), api_name="/paint")) == [plain]


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("", NO_RECIPE),
        ("[" * 100_000, NO_RECIPE),
        ('{"guides": [{"guide": "color"}], "colour": "red"}', NO_RECIPE),
        ('{"guides": [{"guide": "none"}]}', f"Guide must be one of: {', '.join([*guides.every(), 'ridges'])}."),
        ('{"guides": [{"guide": "color"}, {"guide": "color", "color": "#12"}]}', COLOUR),
        ('{"guides": [{"guide": "brightness", "scale": 2}]}', SCALE),
        ('{"guides": [{"guide": "ridges", "along": "x"}]}', "Along must be one of: rows, columns."),
        ('{"guides": [{"guide": "digits"}, {"guide": "digits"}]}',
         "Only one guide of a recipe may say which class is drawn."),
        ('{"guides": [], "model": "in hand"}', LISTED),
        ('{"guides": [], "count": 64, "candidates": 5}',
         "Pictures times candidates must be a whole number from 1 to 256."),
        ('{"guides": [{"guide": "digits"}], "count": 21}', "Count must be a whole number from 1 to 200."),
    ],
)  # fmt: skip
def test_what_is_no_recipe_is_answered_by_a_sentence(client, recipe, expected):
    with pytest.raises(AppError, match=f"^{re.escape(expected)}$"):
        client.predict(recipe, api_name="/paint")


def test_a_guide_from_elsewhere_has_a_tab_whose_controls_follow_its_fields(demo):
    controls = {block.elem_id: block for block in demo.blocks.values() if str(block.elem_id).startswith("ridges-")}
    amount, along, sizes, scale = (controls[f"ridges-{name}"] for name in ("amount", "along", "sizes", "scale"))
    assert isinstance(amount, gr.Slider) and isinstance(along, gr.Radio) and isinstance(sizes, gr.Number)
    assert (amount.value, amount.minimum, amount.maximum, amount.step) == (0.25, 0, 1, 0.05)
    assert (along.value, [value for _, value in along.choices]) == ("rows", ["rows", "columns"])
    assert (sizes.value, sizes.minimum, sizes.maximum) == (3, 1, 9)
    assert (scale.value, scale.maximum) == (Ridges().scale, 1)
    begins = [fn.fn.__self__ for fn in demo.fns.values() if fn.name == "begin"]
    runner = next(runner for runner in begins if "amount" in runner.names.values())
    given = {name: control.value for control, name in runner.names.items()} | {"amount": 0.75, "along": "columns"}
    assert runner.ask(str, given).ask.recipe == Recipe(guides=(Ridges(0.75, "columns"),), count=4)
    with pytest.raises(RecipeError, match=r"^Amount must be a number from 0 to 2\.$"):
        runner.ask(str, given | {"keep": True, "amount": 3})


def test_runs_are_refused_to_those_who_skip_the_queue(url):
    for route in ("run", "api"):
        for name, data in (("color", [value for _, value in COLOR]), ("paint", ["{}"])):
            answer = httpx.post(f"{url}gradio_api/{route}/{name}", json={"data": data})
            assert answer.status_code == 404
            assert "queue" in answer.text


def test_the_served_page_names_no_other_host(url):
    config = re.sub(r"base64,[\w+/=]+", "", httpx.get(f"{url}config").text)  # pictures may hold any letters
    html = httpx.get(url).text
    for served in (config, html.split("<body")[0].split("<script>window.gradio_config")[0]):
        assert "fonts.googleapis" not in served
        assert "cdn" not in served.lower()
    assert not re.search(r'<(?:script|link)[^>]+(?:src|href)="(?:https?:)?//', html)
    assert not re.search(r"""url\(["']?(?!["']?data:)""", httpx.get(f"{url}theme.css").text)
