"""The page's colours, corners and fonts: calm neutrals that leave the colour to the pictures."""

import gradio as gr
from gradio.themes.utils.colors import Color

# Only fonts that the visitor has: the page must open without a network.
SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")

INK = Color(
    "#f7f7f5", "#efefec", "#e1e1dd", "#cbcbc6", "#9b9c98", "#6c6e6c", "#505352", "#3b3e3f", "#272a2c", "#1b1e20",
    "#131517", name="ink",
)  # fmt: skip
LAGOON = Color(
    "#eef7f7", "#d6ecec", "#addadb", "#7cc1c4", "#4aa3a8", "#27868c", "#1c6c72", "#19575c", "#18464b", "#163b3f",
    "#0a2427", name="lagoon",
)  # fmt: skip


def theme() -> gr.themes.Base:
    """The theme, light and dark."""
    return gr.themes.Base(
        primary_hue=LAGOON, secondary_hue=LAGOON, neutral_hue=INK, radius_size=gr.themes.sizes.radius_lg,
        spacing_size=gr.themes.sizes.spacing_md, text_size=gr.themes.sizes.text_md, font=SANS, font_mono=MONO,
    ).set(
        body_background_fill="*neutral_50", body_background_fill_dark="*neutral_950", body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100", body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400", background_fill_primary="white",
        background_fill_primary_dark="*neutral_900", background_fill_secondary="*neutral_50",
        background_fill_secondary_dark="*neutral_950", block_background_fill="white",
        block_background_fill_dark="*neutral_900", block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800", block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200", block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100", block_title_text_weight="600",
        block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_400", block_shadow="none",
        block_shadow_dark="none", border_color_primary="*neutral_200", border_color_primary_dark="*neutral_800",
        input_background_fill="*neutral_50", input_background_fill_dark="*neutral_800",
        input_border_color="*neutral_300", input_border_color_dark="*neutral_700", input_border_width="1px",
        slider_color="*primary_600", slider_color_dark="*primary_400", button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800", button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700", button_primary_text_color="white",
        button_primary_text_color_dark="white", button_secondary_background_fill="white",
        button_secondary_background_fill_hover="*neutral_100", button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover_dark="*neutral_700", button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_700", button_border_width="1px", button_large_text_weight="600",
    )  # fmt: skip
