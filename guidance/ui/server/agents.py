"""The API for agents: what the Model Context Protocol needs beside the endpoints themselves."""

import gradio as gr


def show_pictures(demo: gr.Blocks) -> None:
    """Have a served page give agents each picture as a picture; by itself Gradio does not look into lists."""
    server = demo.mcp_server_obj
    contents = server.postprocess_output_data

    def flat(outputs: list, root_url: str) -> list:
        return contents([file for output in outputs for file in output], root_url)

    server.postprocess_output_data = flat
