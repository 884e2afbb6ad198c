"""A script of ours that runs before those of Gradio's page, whose own `head` comes after them."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEAD = b"<head>"  # which a page has once, at its start


class First:
    """ASGI middleware that begins the head of each page with `html`."""

    def __init__(self, app: ASGIApp, html: str):
        self.app, self.html = app, html.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and a page back with what is put into it."""
        begun: Message | None = None  # of a page; how long that is to be stands in it

        async def told(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                if headers.get("content-type", "").startswith("text/html") and "content-length" in headers:
                    begun = message
                    return
            elif begun and message["type"] == "http.response.body":
                headers, body = MutableHeaders(raw=begun["headers"]), message.get("body", b"")
                if HEAD in body:
                    message = message | {"body": body.replace(HEAD, HEAD + self.html, 1)}
                    headers["content-length"] = str(int(headers["content-length"]) + len(self.html))
                await send(begun)
                begun = None
            await send(message)

        await self.app(scope, receive, told)
