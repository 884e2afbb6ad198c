"""The API and what else the server answers, over a fake: recipes in and out, sentences, and what must stay shut."""

import math
import re
from collections.abc import Iterator

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from guidance import metadata
from guidance.recipes import ColorRecipe
from guidance.ui import page
from tests.fake import WRONG, Fake

DEFAULTS = {name: getattr(ColorRecipe(), name) for name in ColorRecipe.__dataclass_fields__}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A page over a fake."""
    demo = page.build(Fake())
    yield page.launch(demo, host="127.0.0.1", port=None, quiet=True)
    demo.close()


@pytest.fixture(scope="module")
def client(url, tmp_path_factory) -> Client:
    """Gradio's own client."""
    return Client(url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"), analytics_enabled=False)


def paths(files: list) -> list[str]:
    """Where the client put the files."""
    return [file["path"] if isinstance(file, dict) else file for file in files]


def test_the_api_gives_pngs_that_carry_their_recipes(client):
    files = client.predict(color="rgba(10, 20, 30, 1)", steps=2, seed=5, count=2, api_name="/color")
    recipe = ColorRecipe(color="#0a141e", steps=2, seed=5, count=2)
    assert [metadata.read_png(path) for path in paths(files)] == [recipe.picture(0), recipe.picture(1)]


def test_the_api_has_the_recipe_s_fields_and_defaults_and_no_other_endpoint(client):
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert list(endpoints["named_endpoints"]) == ["/color", "/clip", "/digits"]
    assert not endpoints["unnamed_endpoints"]
    parameters = endpoints["named_endpoints"]["/color"]["parameters"]
    by_rule = dict.fromkeys(("scale", "loss", "weight"))
    assert {p["parameter_name"]: p["parameter_default"] for p in parameters} == DEFAULTS | by_rule
    assert all(p["parameter_has_default"] for p in parameters)
    assert metadata.read_png(*paths(client.predict(api_name="/color"))) == ColorRecipe()


@pytest.mark.parametrize(("values", "expected"), [row for row in WRONG if row[0].get("scale") is not math.nan])
def test_the_api_answers_bad_input_with_the_recipe_s_sentence(client, values, expected):
    with pytest.raises(AppError, match=re.escape(expected)):
        client.predict(**values, api_name="/color")


def test_runs_are_refused_to_those_who_skip_the_queue(url):
    for route in ("run", "api"):
        answer = httpx.post(f"{url}gradio_api/{route}/color", json={"data": list(DEFAULTS.values())})
        assert answer.status_code == 404
        assert "queue" in answer.text


def test_the_served_page_names_no_other_host(url):
    config = httpx.get(f"{url}config").text
    html = httpx.get(url).text
    for served in (config, html.split("<body")[0].split("<script>window.gradio_config")[0]):
        assert "fonts.googleapis" not in served
        assert "cdn" not in served.lower()
    assert not re.search(r'<(?:script|link)[^>]+(?:src|href)="(?:https?:)?//', html)
    assert not re.search(r"""url\(["']?(?!["']?data:)""", httpx.get(f"{url}theme.css").text)
