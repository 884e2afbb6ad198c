"""What is put at the start of Gradio's page, and that nothing else is changed."""

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from guidance.ui.server.first import First

ANSWERS = {
    "page": lambda: HTMLResponse("<html><head><title>A<head></title></head></html>"), "bare": lambda: HTMLResponse("é"),
    "text": lambda: PlainTextResponse("<head>"), "none": lambda: HTMLResponse(status_code=404),
    "stream": lambda: StreamingResponse(iter(["<he", "ad>"]), media_type="text/html"),
}  # fmt: skip
WANTED = {"page": "<html><head><script>é</script><title>A<head></title></head></html>"}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_page_begins_with_what_is_put_there_and_all_else_is_as_it_was(name):
    app = Starlette(routes=[Route("/", lambda request: ANSWERS[name]())])
    plain, put = TestClient(app).get("/"), TestClient(First(app, "<script>é</script>")).get("/")
    assert put.text == WANTED.get(name, plain.text) and put.status_code == plain.status_code
    assert put.headers.get("content-length") in (None, str(len(put.content)))
    assert put.headers["content-type"] == plain.headers["content-type"]
