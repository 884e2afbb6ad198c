"""The page as an MCP server, called by a real MCP client over loopback."""

import asyncio
import base64
import io
import re
from collections.abc import Iterator

import pytest
from PIL import Image

pytest.importorskip("mcp", reason="mcp is not installed: pip install -e '.[test]'")

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from guidance import guides, settings
from guidance.guides.brightness import Brightness
from guidance.guides.color import Color
from guidance.recipe import KEY, ClipRecipe, ColorRecipe, Recipe, form, from_json, to_json
from guidance.ui import page
from guidance.ui.server import limits
from tests.fake import COLOUR, Fake, Ridges


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A page over a fake that serves agents, with a guide from elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guides, "foreign", lambda: {"ridges": Ridges})
        demo = page.build(Fake())
        yield page.launch(demo, host="127.0.0.1", port=None, mcp=True, quiet=True)
        demo.close()


def ask(url: str, *calls: tuple[str, dict], headers: dict | None = None) -> tuple[dict, list]:
    """The tools by name, and the results of calls."""

    async def talk() -> tuple[dict, list]:
        async with (
            httpx.AsyncClient(headers=headers, timeout=60) as web,
            streamable_http_client(f"{url}gradio_api/mcp/", http_client=web) as (read, write, _),
        ):
            async with ClientSession(read, write) as session:
                await session.initialize()
                tools = {tool.name: tool for tool in (await session.list_tools()).tools}
                return tools, [await session.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(talk())


def pictures(result) -> list[tuple[tuple[int, int], object]]:
    """The size of each picture in a result, and the recipe inside the file that is named with it."""
    shown = [Image.open(io.BytesIO(base64.b64decode(part.data))) for part in result.content if part.type == "image"]
    named = [part.text.removeprefix("Image URL: ") for part in result.content if part.type == "text"]
    assert len(shown) == len(named)
    files = [Image.open(io.BytesIO(httpx.get(link).content)) for link in named]
    assert [file.tobytes() for file in files] == [image.tobytes() for image in shown]
    return [(file.size, from_json(file.info[KEY])) for file in files]


def test_the_tools_are_the_endpoints_and_say_what_each_parameter_means(url):
    tools, _ = ask(url)
    assert list(tools) == [*map(guides.endpoint, guides.every().values()), "paint"] and "ridges" in tools
    for name, tool in tools.items():
        properties = tool.inputSchema["properties"]
        assert list(properties) == ([*form(guides.find(name))] if name != "paint" else ["recipe"])
        assert all(value["description"] for value in properties.values())
        assert "Args" not in tool.description
    assert tools["ridges"].description.startswith("Paint pictures with as many ridges as asked. Gives PNG files")
    ridges, digits = (tools[name].inputSchema["properties"] for name in ("ridges", "digits"))
    said = "Amount. How many ridges. From 0 to 2."
    assert ridges["amount"] == {"type": "number", "default": 0.25, "description": said}
    assert ridges["sizes"]["type"] == "integer"
    assert ridges["along"]["description"] == "Direction. Where they run. One of rows, columns."
    assert ridges["scale"]["description"].endswith(" From 0 to 10,000. Nothing: by rule.")
    assert digits["count"]["description"].endswith(" From 1 to 1,000.")
    assert tools["color"].inputSchema["properties"]["count"]["description"].endswith(" From 1 to 64.")
    assert tools["paint"].inputSchema["required"] == ["recipe"]


def test_an_agent_sees_the_pictures_and_can_fetch_their_files(url):
    both = Recipe(guides=Color("teal") + Brightness(0.2), steps=1)
    _, (two, digits, prompt, ridges, painted) = ask(
        url, ("color", {"color": "teal", "steps": 2, "count": 2}), ("digits", {"digits": "12", "steps": 1}),
        ("clip", {"prompt": "a moon", "steps": 1}), ("ridges", {"amount": 1, "steps": 1}),
        ("paint", {"recipe": to_json(both)}),
    )  # fmt: skip
    recipe = ColorRecipe(color="teal", steps=2, count=2)
    assert pictures(two) == [((8, 8), recipe.picture(0)), ((8, 8), recipe.picture(1))]
    assert [size for size, _ in pictures(digits)] == [(28, 28), (28, 28)]
    assert pictures(prompt)[0][1] == ClipRecipe(prompt="a moon", steps=1)
    assert pictures(ridges) == [((8, 8), Recipe(guides=(Ridges(1),), steps=1))]
    assert pictures(painted) == [((8, 8), both)]


def test_an_agent_reads_the_sentence_when_something_is_wrong(url):
    _, results = ask(url, ("color", {"color": "$"}), ("color", {"steps": 0}), ("none", {}))
    assert all(result.isError for result in results)
    texts = [result.content[0].text for result in results]
    assert texts[:2] == [COLOUR, "Steps must be a whole number from 1 to 1,000."]
    assert "/" not in texts[2]


def test_agents_are_counted_as_the_visitors_they_are(monkeypatch):
    monkeypatch.setattr(settings, "PUBLIC", True)
    monkeypatch.setattr(settings, "RATE", 2)
    seen = []
    visitor = limits.visitor
    monkeypatch.setattr(limits, "visitor", lambda: seen.append(visitor()) or f"via {seen[-1]}")
    demo = page.build(Fake())
    url = page.launch(demo, host="127.0.0.1", port=None, mcp=True, quiet=True)
    try:
        # Who came through a proxy on this machine is who the proxy says; the call's second leg says nothing new.
        _, results = ask(url, *[("color", {"steps": 1})] * 3, headers={"x-forwarded-for": "192.0.2.7"})
    finally:
        demo.close()
    assert seen == ["192.0.2.7"] * 3
    assert [result.isError for result in results] == [False, False, True]
    assert re.fullmatch(r"That was more than 2 runs in a minute; please go on in \d+ s\.", results[2].content[0].text)


def test_agents_log_in_with_every_request_where_the_page_asks_for_it():
    demo = page.build(Fake())
    url = page.launch(demo, host="127.0.0.1", port=None, mcp=True, auth=("me", "secret: word"), quiet=True)
    try:
        for headers in ({}, {"authorization": "Basic bWU6d3Jvbmc="}, {"authorization": "Bearer x"}):
            for path in ("mcp", "mcp/", "mcp/schema", "mcp/http"):
                answer = httpx.post(f"{url}gradio_api/{path}", json={}, headers=headers)
                assert answer.status_code == 401
                assert answer.json()["detail"].startswith("This page asks for a login")
                assert answer.headers["www-authenticate"].startswith("Basic")
        login = {"authorization": "Basic " + base64.b64encode(b"me:secret: word").decode()}
        tools, (result, wrong) = ask(url, ("color", {"steps": 1}), ("color", {"color": "$"}), headers=login)
        assert {"color", "paint"} <= set(tools)
        assert [part.type for part in result.content].count("image") == 1
        assert wrong.content[0].text == COLOUR
    finally:
        demo.close()
