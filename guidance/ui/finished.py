"""Pictures that need not be painted twice."""

import threading
from collections import OrderedDict

from PIL import Image

from guidance.recipes import Recipe


class Finished:
    """The last pictures that something was compared with: a moved slider needs no second run of them."""

    def __init__(self, size: int = 256):
        self.size, self.images, self.lock = size, OrderedDict[Recipe, Image.Image](), threading.Lock()

    def get(self, recipe: Recipe) -> list[Image.Image] | None:
        """The recipe's pictures if all are here."""
        with self.lock:
            found = [self.images.get(recipe.picture(k)) for k in range(len(recipe.seeds))]
            return None if None in found else found

    def put(self, recipe: Recipe, images: list[Image.Image]) -> None:
        """Keep pictures, and let the oldest go."""
        with self.lock:
            for k, image in enumerate(images):
                self.images[recipe.picture(k)] = image
                self.images.move_to_end(recipe.picture(k))
            while len(self.images) > self.size:
                self.images.popitem(last=False)
