"""Several pictures as one."""

from PIL import Image


def sheet(images: list[Image.Image], columns: int, gap: int = 0) -> Image.Image:
    """Pictures of one size in rows of `columns`, with `gap` white pixels around each."""
    (width, height), rows = images[0].size, -(-len(images) // columns)
    size = (columns * (width + gap) + gap, rows * (height + gap) + gap)
    whole = Image.new(images[0].mode, size, "white" if gap else 0)
    for k, image in enumerate(images):
        whole.paste(image, (k % columns * (width + gap) + gap, k // columns * (height + gap) + gap))
    return whole
