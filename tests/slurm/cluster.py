"""A SLURM of one node on this machine: munge, the controller and the node's daemon, on loopback.

It claims to have more than there is (CPUs, memory, two GPUs that are none), so that jobs of real
sizes can be asked for. Memory is enforced by cgroups where these are of version 1, else by SLURM's
own look at its processes. There is no accounting database, which the profile does without.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAMS = {
    "munged": "munge",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
}
DEFAULT = Path("/etc/slurm/slurm.conf")  # Snakemake's jobs do not hand SLURM_CONF on
CPUS, MEMORY_MB, GPUS = 4, 128_000, ("/dev/null", "/dev/zero")

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
AuthInfo=socket={folder}/munge.sock
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
{memory}
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,batch_sched_delay=0
EnforcePartLimits=ALL
ReturnToService=2
MinJobAge=7200
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={mb} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=1-0
PartitionName=gpu Nodes={host} MaxTime=1-0
"""
BY_CGROUP = """
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/cgroup
"""
BY_LOOKING = """
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
"""
CGROUPS = """
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
ConstrainRAMSpace=yes
ConstrainSwapSpace=yes
AllowedSwapSpace=0
"""


class CannotStart(Exception):
    """This machine cannot run a SLURM, and why."""


class Cluster:
    """The daemons and what they are asked; everything they write is in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the daemons, and wait until a job has run.

        Raises:
            CannotStart: a program is missing, we are not root, or there is a SLURM already.
        """
        if missing := [package for name, package in PROGRAMS.items() if not shutil.which(name)]:
            raise CannotStart(f"not installed: apt-get install {' '.join(missing)}")
        if os.getuid() != 0:
            raise CannotStart("SLURM's daemons have to be started by root")
        if DEFAULT.exists():
            raise CannotStart(f"{DEFAULT}: this machine belongs to a SLURM already")
        self._configure()
        socket_, key = self.folder / "munge.sock", self.folder / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        files = [f"--key-file={key}", f"--socket={socket_}", f"--pid-file={self.folder}/munged.pid"]
        self._run("munged", "--foreground", "--force", *files)
        self._wait_for("munge", "--no-input", f"--socket={socket_}")
        self._run("slurmctld", "-D")
        self._wait_for("scontrol", "ping")
        self._run("slurmd", "-D")
        self._wait_for("srun", "--time=1", "--mem=50", "true")

    def stop(self) -> None:
        """Cancel what runs, and end the daemons."""
        with contextlib.suppress(subprocess.SubprocessError):  # where it did not start
            subprocess.run(["scancel", "--user=root"], timeout=30, check=True, capture_output=True)
            self.wait_until_empty()
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()
        if DEFAULT.is_symlink():
            DEFAULT.unlink()

    def jobs(self) -> list[dict[str, str]]:
        """All jobs since the start, oldest first, each as `scontrol show job` shows it."""
        text = subprocess.check_output(["scontrol", "show", "jobs", "--oneliner", "-d"], text=True)
        found = [dict(re.findall(r"(\w+(?:/\w+)?)=(\S*)", line)) for line in text.splitlines()]
        return sorted((job for job in found if "JobId" in job), key=lambda job: int(job["JobId"]))

    def queue(self) -> list[str]:
        """Numbers of the jobs that wait or run."""
        return subprocess.check_output(["squeue", "--noheader", "-o", "%i"], text=True).split()

    def wait_until_empty(self, seconds: float = 60) -> bool:
        """Whether the queue gets empty in time."""
        end = time.monotonic() + seconds
        while self.queue() and time.monotonic() < end:
            time.sleep(0.2)
        return not self.queue()

    def _configure(self) -> None:
        self.folder.chmod(0o755)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        by_cgroup = Path("/sys/fs/cgroup/memory").is_dir()
        host = socket.gethostname().partition(".")[0]
        conf = CONF.format(
            host=host,
            folder=self.folder,
            memory=BY_CGROUP if by_cgroup else BY_LOOKING,
            cpus=CPUS,
            mb=MEMORY_MB,
            gpus=len(GPUS),
        )
        (self.folder / "slurm.conf").write_text(conf)
        (self.folder / "gres.conf").write_text("".join(f"Name=gpu File={gpu}\n" for gpu in GPUS))
        (self.folder / "cgroup.conf").write_text(CGROUPS if by_cgroup else "")
        DEFAULT.parent.mkdir(exist_ok=True)
        DEFAULT.unlink(missing_ok=True)  # that of a cluster which was killed leads nowhere
        DEFAULT.symlink_to(self.folder / "slurm.conf")

    def _run(self, *command: str) -> None:
        conf = {"SLURM_CONF": str(self.folder / "slurm.conf")}  # its neighbours are read, too
        with (self.folder / f"{command[0]}.out").open("wb") as out:
            self.daemons.append(
                subprocess.Popen(
                    command,
                    env=os.environ | conf,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                )
            )

    def _wait_for(self, *command: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(subprocess.TimeoutExpired):
                if subprocess.run(command, capture_output=True, timeout=20).returncode == 0:
                    return
            time.sleep(0.2)
        said = [path.read_text(errors="replace")[-1000:] for path in self.folder.glob("*.out")]
        raise CannotStart(f"`{' '.join(command)}` does not answer:\n" + "\n".join(said))


if __name__ == "__main__":  # says whether one can be started, and why not
    with tempfile.TemporaryDirectory() as name:
        cluster = Cluster(Path(name))
        try:
            cluster.start()
        except CannotStart as reason:
            sys.exit(f"no SLURM can be started here: {reason}")
        finally:
            cluster.stop()
