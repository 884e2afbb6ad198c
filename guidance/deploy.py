"""The page as a Space on the Hugging Face Hub: which files it needs, and the push."""

import io
import re
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, SpaceCard

ROOT = Path(__file__).parent.parent
NEEDED = ("README.md", "LICENSE", "app.py", "requirements.txt", "assets/**/*", "guidance/**/*")
LEFT = ("__pycache__", "assets/figures", "assets/attributes")  # caches, and what only the documentation and tests need
DOCKER = ("Dockerfile", ".dockerignore")
GRADIO_ONLY = ("sdk_version", "python_version", "app_file", "preload_from_hub")
# ZeroGPU has torch up to 2.11, and spaces is what asks it for a GPU.
ZERO = b"torch>=2.8,<2.12\ntorchvision>=0.23,<0.27\nspaces>=0.40\n"


def contents(docker: bool = False, root: Path = ROOT) -> dict[str, bytes]:
    """Every file of the Space by its path: what the page needs and nothing else; RuntimeError outside a checkout."""
    if not (root / "app.py").is_file():
        raise RuntimeError("A Space is made in a checkout of the project: the installed package lacks app.py.")
    paths = [path for pattern in NEEDED + DOCKER * docker for path in sorted(root.glob(pattern)) if path.is_file()]
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    files = {name: data for name, data in found.items() if not any(part in name for part in LEFT)}
    card = SpaceCard(files["README.md"].decode())  # its front matter is that of the Gradio SDK
    if docker:
        values = {name: value for name, value in card.data.to_dict().items() if name not in GRADIO_ONLY}
        card.data = type(card.data)(**values | {"sdk": "docker", "app_port": 7860})
    else:  # the Gradio SDK's may run on ZeroGPU
        rest = re.sub(rb"^(torch|torchvision)\b.*\n", b"", files["requirements.txt"], flags=re.MULTILINE)
        files["requirements.txt"] = ZERO + rest
    return files | {"README.md": str(card).encode()}


def push(space: str, files: dict[str, bytes], docker: bool = False, api: HfApi | None = None) -> str:
    """Make the Space OWNER/NAME unless it is there, push the files in one commit, and give the Space's address."""
    api = api or HfApi()
    api.create_repo(space, repo_type="space", space_sdk="docker" if docker else "gradio", exist_ok=True)
    operations = [CommitOperationAdd(name, io.BytesIO(data)) for name, data in files.items()]
    api.create_commit(space, operations, commit_message="The page", repo_type="space")
    return f"{api.endpoint}/spaces/{space}"


def deploy(space: str, docker: bool = False, really: bool = False, api: HfApi | None = None) -> None:
    """List the files of the Space with their sizes, and push them if `really`; RuntimeError if it has no such name."""
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", space, re.ASCII):
        raise RuntimeError("The Space must be named as owner/name.")
    files = contents(docker)
    for name, data in files.items():
        print(f"{len(data):>12,}  {name}")
    print(f"{sum(map(len, files.values())):>12,}  in {len(files)} files for the Space {space}")
    print(push(space, files, docker, api) if really else "Nothing was sent; --push sends it.")
