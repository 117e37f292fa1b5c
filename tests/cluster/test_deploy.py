"""The files of deploy/, as far as they can be checked without a registry, a cluster or a cloud."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

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
        assert {"name": "RAY_AUTH_MODE", "value": "token"} in pod["spec"]["containers"][0]["env"]
    extra = (ROOT / "pyproject.toml").read_text()
    assert spec["rayVersion"].rpartition(".")[0] in extra


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
