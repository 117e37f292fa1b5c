"""A cluster of real raylets that nobody outside reaches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.namespace import Namespace, command_of, tree

HEAD = "127.0.0.1"
ADDRESS = f"{HEAD}:6379"


@dataclass
class RayCluster:
    """`folder` has a short path: Ray puts sockets there. Node N listens on 127.0.0.N."""

    folder: Path
    environment: dict[str, str]
    token: bool = True
    _room: Namespace = field(default_factory=Namespace)

    def start(self, *nodes: int) -> None:
        self._room.open()
        place = ("--port=6379", "--include-dashboard=false", f"--temp-dir={self.folder}/r")
        self._ray("--head", "--num-cpus=0", *place, ip=HEAD)
        for number in nodes:  # one after the other: side by side, one of three was seen never to come up
            self._ray(f"--address={ADDRESS}", "--num-cpus=1", ip=f"127.0.0.{number}")

    def inside(self, *command: str) -> list[str]:
        """The command, in the namespace."""
        return self._room.command(*command)

    @property
    def env(self) -> dict[str, str]:
        token = self.folder / "token"
        token.write_text("a token of this test alone")
        return {
            **os.environ,
            **self.environment,
            "RAY_AUTH_MODE": "token" if self.token else "disabled",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "HOME": str(self.folder),
            "OMP_NUM_THREADS": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_memory_monitor_refresh_ms": "0",
            "RAY_enable_worker_prestart": "false",
            "RAY_worker_niceness": "0",
            "RAY_health_check_period_ms": "1000",  # five refused connections are a death, after 5 s instead of 15
            "RAY_gcs_server_request_timeout_seconds": "200",
            "RAY_raylet_start_wait_time_s": "200",
        }

    def kill(self, number: int) -> None:
        """The whole node at once, as when a machine loses its power."""
        self._signal(number, signal.SIGKILL)

    def freeze(self, number: int) -> None:
        self._signal(number, signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        self._signal(number, signal.SIGCONT)

    def actors(self) -> list[int]:
        """Processes that hold a model."""
        return [pid for pid in tree(self._room.inside) if b"SongActor" in command_of(pid)[0]]

    def end(self) -> None:
        """Everything at once: head, nodes, drivers."""
        self._room.close()

    def _ray(self, *arguments: str, ip: str) -> None:
        ray = str(Path(sys.executable).with_name("ray"))
        more = (f"--node-ip-address={ip}", "--object-store-memory=80000000", "--disable-usage-stats")
        started = subprocess.run(
            self.inside(ray, "start", *arguments, *more), env=self.env, capture_output=True, text=True, check=False
        )
        assert started.returncode == 0, started.stdout + started.stderr

    def _signal(self, number: int, what: signal.Signals) -> None:
        wanted = f"--node_ip_address=127.0.0.{number}".encode()
        commands = {pid: command_of(pid) for pid in tree(self._room.inside)}
        (raylet,) = [pid for pid, words in commands.items() if words[0].endswith(b"raylet/raylet") and wanted in words]
        for pid in [raylet, *tree(raylet)]:
            os.kill(pid, what)
