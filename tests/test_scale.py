"""What describes clusters: Compose, KubeRay and the arithmetic say what the programs understand."""

import shlex
from importlib import import_module
from pathlib import Path

import yaml
from ray.serve.schema import ServeDeploySchema

from guidance.__main__ import parser
from guidance.recipe import ColorRecipe
from guidance.scale import arithmetic

ROOT = Path(__file__).parent.parent
ARGUMENTS = {"TORCH", "EXTRA"}  # of the Dockerfile


def test_containers_run_commands_that_there_are_on_the_image():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert set(services) == {"head", "painter", "page"}
    steps = (ROOT / "Dockerfile").read_text()
    for service in services.values():
        assert all(f"ARG {name}=" in steps for name in service["build"]["args"])
        assert set(service["build"]["args"]) == ARGUMENTS and service["environment"]["RAY_USAGE_STATS_ENABLED"] == "0"
    joins, command = shlex.split(services["page"]["command"])[2].split(" && exec ")
    assert joins.startswith("ray start --address=head:6379") and "head" in services
    words = command.replace("${PAINTERS:-1..8}", "1..8").replace("${CORES:-4}", "4").split()
    given = parser().parse_args(words[words.index("serve") :])
    assert (given.replicas, given.cores) == ("1..8", "4")
    gpus = yaml.safe_load((ROOT / "docs" / "scale" / "gpus.yaml").read_text())["services"]
    assert set(gpus) == {"painter"}


def test_kubernetes_is_told_what_ray_serve_takes():
    asked = yaml.safe_load((ROOT / "docs" / "scale" / "rayservice.yaml").read_text())
    assert (asked["apiVersion"], asked["kind"]) == ("ray.io/v1", "RayService")
    told = ServeDeploySchema.model_validate(yaml.safe_load(asked["spec"]["serveConfigV2"]))
    (application,) = told.applications
    module, name = application.import_path.split(":")
    made = getattr(import_module(module), name)(application.args)
    cluster = asked["spec"]["rayClusterConfig"]
    (group,) = cluster["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    painter = made._bound_deployment.init_args[0]._bound_deployment
    scale = painter._deployment_config.autoscaling_config
    assert (group["minReplicas"], group["maxReplicas"]) == (scale.min_replicas, scale.max_replicas) == (1, 8)
    limits, needed = container["resources"]["limits"], painter.ray_actor_options
    assert (int(limits["cpu"]), limits["nvidia.com/gpu"]) == (needed["num_cpus"], needed["num_gpus"])
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    assert told.http_options.port in [port["containerPort"] for port in head["ports"]]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_the_arithmetic_follows_from_what_was_measured(monkeypatch, capsys):
    monkeypatch.setattr(arithmetic, "seconds", lambda recipe: (2.0, [None] * 4))
    monkeypatch.setattr(arithmetic, "carried", lambda recipe, frames: 0.25)
    monkeypatch.setattr(arithmetic, "EUROS", dict.fromkeys(arithmetic.EUROS, 0.5))
    arithmetic.arithmetic()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| a colour")]
    pictures = arithmetic.catalogue.get("landscapes").batch
    assert rows[0] == f"| a colour | 0.500 | 1 | {pictures / 2:.2f} | {3600 * pictures:,.0f} | 4.0 |"
    assert rows[2] == f"| a colour | 0.500 | 64 | {64 * 0.9 * pictures / 2:.2f} | {3240 * pictures:,.0f} | 4.0 |"


def test_what_a_page_s_process_does_for_a_run_is_measured():
    taken, frames = arithmetic.seconds(ColorRecipe(steps=2))
    assert len(frames) == 2 and arithmetic.carried(ColorRecipe(steps=2), frames) > 0 and taken > 0
