"""What a fine-tuned model needs to be shared: a model card, and the way to the Hub."""

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import validate_repo_id

CARD = """---
library_name: diffusers
pipeline_tag: unconditional-image-generation
{origin}tags:
- diffusion
- unconditional-image-generation
---
# {name}

An unconditional diffusion model: {base}, fine-tuned on {count:,} pictures. This is the average of its weights after
{steps:,} steps. Samples of the seeds 0 to 15, unpicked:

![Samples](samples.png)

```python
from diffusers import DDPMPipeline

DDPMPipeline.from_pretrained("{name}")().images[0]
```

With Guidance, steered toward a colour:

```sh
python -m guidance color teal --model {name} --out pictures
```
"""


def card(name: str, base: str, count: int, steps: int) -> str:
    """The model card of `name`, made from `base` in so many steps with `count` pictures."""
    origin = f"base_model: {base}\n" if "/" in base else ""
    return CARD.format(name=name, base=base, origin=origin, count=count, steps=steps)


def check(repository: str) -> None:
    """OSError, with a sentence for the user, unless this can be a repository and somebody is logged in to the Hub."""
    try:
        validate_repo_id(repository)
        HfApi().whoami()
    except ValueError as error:
        raise OSError("A repository to push to is called by its owner and name, as in you/my-model.") from error
    except (HTTPError, OSError) as error:
        raise OSError("To push the result, log in to the Hub first: hf auth login") from error


def push(folder: Path, repository: str) -> None:
    """Upload a pipeline with its card to a repository of the Hub, "owner/name", which is made if it is not there."""
    try:
        HfApi().create_repo(repository, exist_ok=True)
        HfApi().upload_folder(repo_id=repository, folder_path=folder, commit_message="Fine-tuned with Guidance")
    except (HTTPError, OSError, ValueError) as error:
        raise OSError(f"The result is in {folder}, but {repository} did not take it: {error}") from error
    print(f"https://huggingface.co/{repository}")
