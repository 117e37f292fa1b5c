"""A real SLURM of one controller and three nodes on this machine, in a room of its own."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.namespace import Namespace, command_of, tree

NEEDED = ("/usr/sbin/munged", "/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/bin/sbatch")
NODES = ("n1", "n2", "n3")
_CONFIG = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={place}/munge,cred_expire=5
CryptoType=crypto/munge
SlurmctldPidFile={place}/ctld.pid
SlurmdPidFile={place}/%n.pid
SlurmctldLogFile={place}/ctld.log
SlurmdLogFile={place}/%n.log
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmctldTimeout=30
SlurmdTimeout=10
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2
{nodes}
PartitionName=all Nodes=n1,n2,n3 Default=YES MaxTime=INFINITE State=UP
"""


@dataclass
class Slurm:
    """`place` has a short path, for the sockets."""

    place: Path
    _room: Namespace = field(default_factory=Namespace)

    def start(self) -> None:
        self.place.chmod(0o755)
        (self.place / "state").mkdir()
        nodes = []
        for number, name in enumerate(NODES):
            (self.place / name).mkdir()
            place = f"NodeHostname=localhost NodeAddr=127.0.0.1 Port={17_001 + number}"
            nodes.append(f"NodeName={name} {place} CPUs=1 RealMemory=1000")
        config = self.place / "slurm.conf"
        config.write_text(_CONFIG.format(place=self.place, nodes="\n".join(nodes)))
        key = self.place / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        self._room.open()
        own = {
            "key-file": key,
            "socket": self.place / "munge",
            "pid-file": self.place / "munge.pid",
            "log-file": self.place / "munge.log",
            "seed-file": self.place / "seed",
        }
        self.call("/usr/sbin/munged", "--force", *(f"--{name}={path}" for name, path in own.items()))
        self.call("/usr/sbin/slurmctld")
        for name in NODES:
            self.call("/usr/sbin/slurmd", "-N", name)

    def call(self, *words: str, **environment: str) -> str:
        """What a command says that runs inside."""
        env = {**os.environ, "SLURM_CONF": str(self.place / "slurm.conf"), **environment}
        done = subprocess.run(
            self._room.command(*words), env=env, capture_output=True, text=True, check=False, timeout=100
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def states(self) -> list[str]:
        """The state of each task that is not over."""
        return self.call("squeue", "--array", "--noheader", "--format=%T").split()

    def node_of(self, task: int) -> str:
        lines = self.call("squeue", "--array", "--noheader", "--format=%K %N").splitlines()
        return dict(line.split() for line in lines if len(line.split()) == 2)[str(task)]

    def kill(self, node: str) -> None:
        """The whole node at once: its daemon, and the jobs that it runs."""
        inside = {pid: command_of(pid) for pid in tree(self._room.inside)}
        daemons = [pid for pid, words in inside.items() if words[0].endswith(b"slurmd") and node.encode() in words]
        steps = [
            pid
            for pid, words in inside.items()
            if words[0].startswith(b"slurmstepd") and self._node_of_step(pid) == node
        ]
        assert daemons
        assert steps
        for pid in [each for root in (*daemons, *steps) for each in (root, *tree(root))]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def end(self) -> None:
        self._room.close()

    def _node_of_step(self, pid: int) -> str:
        for child in tree(pid):
            found = dict(item.partition(b"=")[::2] for item in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"))
            if b"SLURMD_NODENAME" in found:
                return found[b"SLURMD_NODENAME"].decode()
        return ""
