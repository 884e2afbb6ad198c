"""The page as an MCP server, called by a real MCP client over loopback."""

import asyncio
import base64
import io
from collections.abc import Iterator

import pytest
from PIL import Image

pytest.importorskip("mcp", reason="mcp is not installed: pip install -e '.[test]'")

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from guidance import metadata, settings
from guidance.recipes import ClipRecipe, ColorRecipe, DigitRecipe
from guidance.ui import limits, page
from tests.fake import Fake


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A page over a fake that serves agents."""
    demo = page.build(Fake())
    yield page.launch(demo, host="127.0.0.1", port=None, mcp=True, quiet=True)
    demo.close()


def ask(url: str, *calls: tuple[str, dict]) -> tuple[dict, list]:
    """The tools by name, and the results of calls."""

    async def talk() -> tuple[dict, list]:
        async with streamablehttp_client(f"{url}gradio_api/mcp/") as (read, write, _):
            async with ClientSession(read, write) as session:
                await session.initialize()
                tools = {tool.name: tool for tool in (await session.list_tools()).tools}
                return tools, [await session.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(talk())


def recipes(result) -> list:
    """The recipes inside the pictures of a result."""
    texts = []
    for part in result.content:
        if part.type == "image":
            texts.append(Image.open(io.BytesIO(base64.b64decode(part.data))).info.get(metadata.KEY))
    return [metadata.from_json(text) for text in texts]


def files(result) -> list:
    """The recipes inside the files that a result names."""
    found = []
    for part in result.content:
        for word in part.text.split() if part.type == "text" else ():
            if word.strip("\"',").endswith(".png"):
                found.append(httpx.get(word[word.index("http") :].strip("\"',")).content)
    return [metadata.from_json(Image.open(io.BytesIO(data)).info[metadata.KEY]) for data in found]


def test_debug(url):
    tools, results = ask(url, ("color", {"color": "teal", "steps": 2, "count": 2}), ("digits", {"digits":"12", "steps":1}), ("color", {"color":"zzz"}))
    print(tools)
    for r in results: print(r.isError, [str(c)[:700] for c in r.content])
    assert 0
