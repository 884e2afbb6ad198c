"""Symmetry: the left half as the right one in a mirror."""

from typing import ClassVar

from guidance.guides.base import LossGuide, Run


class Symmetry(LossGuide):
    """Toward left-right symmetry."""

    name: ClassVar[str] = "symmetry"
    label: ClassVar[str] = "Symmetry"
    about: ClassVar[str] = "Paint pictures whose halves mirror each other."
    curve: ClassVar[str] = "symmetry"
    fades: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    sampler: ClassVar[dict[str, object]] = {"solver": "dpm++", "steps": 12}
    words: ClassVar[dict[str, str]] = {
        "Symmetry": "对称", "symmetry": "对称",
        "Paint pictures whose halves mirror each other.": "画左右两半互为镜像的图片。",
    }  # fmt: skip


    def objective(self, run: Run):
        """The mean squared difference of each picture from its mirror image, (B,)."""
        return lambda x0, i: (x0 - x0.flip(-1)).square().mean((1, 2, 3))
