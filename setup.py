"""The packages of the distribution: all in guidance, and the weights in assets beside it, as guidance.assets."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["guidance", "guidance.*"]), "guidance.assets"],
    package_dir={"guidance.assets": "assets"},
)
