"""Picture files: taken as eyes see them, in bounded memory, and never waited for."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guidance import RecipeError, read_png
from guidance.codec import pack, seen, unpack

ROOT = Path(__file__).parent.parent
NO_FILE = r"^There is no file of that name\.$"


def mean(path):
    """The mean colour of a picture as a prompt holds it."""
    return np.asarray(seen(unpack(pack(path)))).mean((0, 1))


def test_sixteen_bits_of_grey_keep_their_greys(tmp_path):
    Image.fromarray(np.full((40, 40), 80 * 257, np.uint16)).save(tmp_path / "grey.png")
    assert np.abs(mean(tmp_path / "grey.png") - 80).max() < 3


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white_and_not_the_colour_hidden_in_it(mode, tmp_path):
    image = Image.new("RGBA", (40, 40), (200, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 20, 40))
    image.convert(mode).save(tmp_path / "half.png")
    pixels = np.asarray(seen(Image.open(tmp_path / "half.png")))
    assert pixels[:, :20].max() == 0 and pixels[:, 20:].min() == 255
    Image.new("RGBA", (40, 40), (200, 0, 0, 0)).save(tmp_path / "clear.png")
    assert mean(tmp_path / "clear.png").min() > 250


def test_a_gif_is_taken_by_its_first_picture(tmp_path):
    first, second = Image.new("RGB", (40, 40), "teal"), Image.new("RGB", (40, 40), "red")
    first.save(tmp_path / "two.gif", save_all=True, append_images=[second])
    assert np.abs(mean(tmp_path / "two.gif") - (0, 128, 128)).max() < 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="There are no pipes with names here.")
@pytest.mark.parametrize("read", [pack, read_png])
def test_a_pipe_is_not_waited_for_and_a_file_that_is_not_there_is_no_damaged_one(read, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    caught = []

    def attempt():
        try:
            read(tmp_path / "pipe.png")
        except RecipeError as error:
            caught.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(20)
    assert [str(error) for error in caught] == ["There is no file of that name."]
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(RecipeError, match=NO_FILE):
            read(path)


def test_a_webp_is_taken_up_to_sixteen_megapixels(tmp_path):
    Image.new("RGB", (4001, 4000)).save(tmp_path / "x.webp", quality=0, method=0)
    with pytest.raises(RecipeError, match="or a WebP of 16"):
        pack(tmp_path / "x.webp")


LARGE = [("x.jpg", "RGB"), ("x.png", "RGB"), ("x.png", "RGBA"), ("x.png", "P"), ("x.png", "1"), ("x.png", "I;16")]


PEAK = r"int(re.search(r'VmHWM:\s+(\d+)', open('/proc/self/status').read())[1])"  # in kB, since the program began


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="The most memory is read as Linux tells it.")
@pytest.mark.parametrize(("name", "mode"), LARGE)
def test_a_picture_of_fifty_megapixels_takes_little_more_memory_than_its_pixels(name, mode, tmp_path):
    image = Image.new("RGB", (10_000, 5_000), "teal")
    image = Image.new(mode, image.size, 128 * 257) if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / name, compress_level=1)
    code = f"import re, sys; from guidance.codec import *; Image.init(); a = {PEAK}; pack(sys.argv[1]);"
    code += f"print({PEAK} - a)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / name], cwd=ROOT, check=True, capture_output=True)
    assert 5_000 < int(done.stdout) < {"x.jpg": 60_000}.get(name, 260_000)
