"""The files of deploy/, as far as they can be checked without a registry, a cluster or a cloud."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from daw_bridge.cli.main import main
from tests.cluster.songs import ROOT

DEPLOY = ROOT / "deploy"
TOOLS = Path(sys.prefix) / "moto" / "bin"
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.skipif(not (TOOLS / "hadolint").exists(), reason="no linters: make cluster"),
]


def loaded(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def test_the_dockerfile_passes_its_linter() -> None:
    subprocess.run([TOOLS / "hadolint", DEPLOY / "Dockerfile"], check=True)


def test_the_sbatch_file_passes_the_shell_and_its_linter_where_there_is_one() -> None:
    subprocess.run(["bash", "-n", DEPLOY / "slurm.sbatch"], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", DEPLOY / "slurm.sbatch"], check=True)


def test_the_indexed_job_is_of_kubernetes_schema() -> None:
    validate(DEPLOY / "kubernetes-indexed-job.yaml")
    part, of = (loaded("kubernetes-indexed-job.yaml")["spec"][name] for name in ("completions", "parallelism"))
    assert part >= of


def test_the_pods_of_the_rayjob_are_of_kubernetes_schema(tmp_path: Path) -> None:
    spec = loaded("kuberay-rayjob.yaml")["spec"]["rayClusterSpec"]
    for number, group in enumerate((spec["headGroupSpec"], *spec["workerGroupSpecs"])):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": group["template"]["spec"]}
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump(pod))
        validate(path)
    extra = (ROOT / "pyproject.toml").read_text()
    assert spec["rayVersion"].rpartition(".")[0] in extra


# The fields that KubeRay 1.6's reference of its API gives to each; its schema is in no package that could be asked.
JOB = {
    *(
        "activeDeadlineSeconds",
        "backoffLimit",
        "clusterSelector",
        "deletionStrategy",
        "entrypoint",
        "jobId",
        "metadata",
    ),
    *("entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "managedBy", "rayClusterSpec", "runtimeEnvYAML"),
    *("shutdownAfterJobFinishes", "submissionMode", "submitterConfig", "submitterPodTemplate", "suspend"),
    "ttlSecondsAfterFinished",
}
CLUSTER = {
    *("authOptions", "autoscalerOptions", "enableInTreeAutoscaling", "gcsFaultToleranceOptions", "headGroupSpec"),
    *("headServiceAnnotations", "managedBy", "rayVersion", "suspend", "upgradeStrategy", "workerGroupSpecs"),
}
GROUP = {"rayStartParams", "template"}
WORKERS = GROUP | {"groupName", "idleTimeoutSeconds", "maxReplicas", "minReplicas", "numOfHosts", "replicas"}


def test_the_rayjob_has_the_fields_of_kuberay_and_gives_every_pod_the_token() -> None:
    job = loaded("kuberay-rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert job["spec"].keys() <= JOB
    assert cluster.keys() <= CLUSTER
    assert cluster["headGroupSpec"].keys() <= GROUP
    assert all(group.keys() <= WORKERS for group in cluster["workerGroupSpecs"])
    assert cluster["authOptions"] == {"mode": "token"}  # the only way in which the submitting pod gets it too
    every = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert all(isinstance(value, str) for group in every for value in group["rayStartParams"].values())


def test_the_skypilot_file_is_of_skypilots_schema() -> None:
    found = subprocess.run(
        [sys.executable, ROOT / "tests" / "cluster" / "sky_schema.py", TOOLS.parent / "sky"],
        stdout=subprocess.PIPE,
        check=True,
    )
    task, resources = json.loads(found.stdout)
    described = loaded("skypilot.yaml")
    jsonschema.validate(described, task)
    jsonschema.validate(described["resources"], resources)
    with pytest.raises(jsonschema.ValidationError):  # it would have said so
        jsonschema.validate({**described["resources"], "accelerator": "L4"}, resources)


def validate(path: Path) -> None:
    subprocess.run([TOOLS / "kubernetes-validate", "--strict", path], check=True)


@pytest.mark.parametrize(
    "words",
    [
        [*loaded("kubernetes-indexed-job.yaml")["spec"]["template"]["spec"]["containers"][0]["command"][1:]]
        + loaded("kubernetes-indexed-job.yaml")["spec"]["template"]["spec"]["containers"][0]["args"],
        loaded("kuberay-rayjob.yaml")["spec"]["entrypoint"].partition("daw-bridge ")[2].rstrip("'").split(),
        loaded("skypilot.yaml")["run"].partition("daw-bridge ")[2].split(),
    ],
)
def test_the_commands_of_the_files_are_commands_of_this_program(words: list[str], tmp_path: Path, capsys: Any) -> None:
    numbers = {"$(JOB_COMPLETION_INDEX)": "0", '"$SKYPILOT_NODE_RANK"': "0", '"$SKYPILOT_NUM_NODES"': "1"}
    places = {"$(CATALOG)": str(tmp_path), '"$CATALOG"': str(tmp_path)}
    assert main([{**numbers, **places}.get(word, word) for word in words]) == 3
    assert "holds no plan" in capsys.readouterr().err
