"""The API for agents: what the Model Context Protocol needs beside the endpoints themselves."""

import gradio as gr
from gradio_client import Client


def show_pictures(demo: gr.Blocks) -> None:
    """Have a served page give agents each picture as a picture; by itself Gradio does not look into lists."""
    server = demo.mcp_server_obj
    contents = server.postprocess_output_data

    def flat(outputs: list, root_url: str) -> list:
        return contents([file for output in outputs for file in output], root_url)

    server.postprocess_output_data = flat


def log_in(demo: gr.Blocks, url: str, account: tuple[str, str] | None) -> None:
    """Have the tools call a page that asks for a login; whoever calls a tool has logged in at the gate."""
    server, made = demo.mcp_server_obj, []

    def client() -> Client:
        if not made:
            made.append(Client(url, auth=account, headers={"x-gradio-user": "mcp"}, download_files=False, verbose=False,
                               analytics_enabled=False, ssl_verify=False))  # fmt: skip
        return made[0]

    if account:
        server._get_or_create_client = client
