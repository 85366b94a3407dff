"""Start the processes of a training that has several, and end as they end.

What runs them is torchrun's own agent; how the policy is spread over them are configuration files
of accelerate, `parallel/*.yaml`, read as `accelerate launch --config_file` reads them. That command
itself starts a single process where there is no GPU, and both answer a fault with pages of their
own and the exit code 1, whatever the processes said. Here:

- the first process writes to the terminal; of another that fails first, its last lines are shown;
- SIGTERM and SIGUSR1 reach all processes (:mod:`dipr1.training.signals` says what they do then);
- the exit code is that of the process that failed first.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dipr1.errors import UserError
from dipr1.progress import say
from dipr1.training.options import Spread
from dipr1.training.processes import LAUNCHED, count
from dipr1.training.signals import SIGNALS

FOLDER = Path(__file__).parent / "parallel"
PORT = 29500  # torchrun's
LINES = 20  # shown of a process that failed


def launched() -> bool:
    """Whether this process is one of those that a launcher has started."""
    return count() > 1


def launch(arguments: Sequence[str], spread: Spread, threads: int | None) -> None:
    """Run ``dipr1`` with `arguments` in several processes, and leave as they do.

    Args:
        arguments: the command line, without the program.
        spread: how many processes, of each of the nodes, on all of which this is called.
        threads: that torch may use in each process.

    Raises:
        UserError: there are fewer GPUs than processes, or the nodes do not know each other.
        SystemExit: a process failed; with its exit code.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    _check_gpus(spread.processes)
    _check_deepspeed(spread.parallel)
    os.environ.update(_environment(spread, threads))
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    command = [sys.executable, "-u", "-m", "dipr1.cli", *arguments]
    with tempfile.TemporaryDirectory(prefix="dipr1_train_") as folder, _handing_signals_on():
        try:
            elastic_launch(_config(spread, folder), command[0])(*command[1:])
        except ChildFailedError as error:
            _, first = error.get_first_failure()
            _tell(first, folder)
            raise SystemExit(first.exitcode if first.exitcode > 0 else 1) from None


def _check_gpus(processes: int) -> None:
    import torch

    if 0 < (gpus := torch.cuda.device_count()) < processes:
        raise UserError(
            f"--processes {processes}: this machine shows {gpus} GPU{'s'[: gpus > 1]}; each process"
            " needs one of its own, so ask for more GPUs or lower training.processes"
        )


def _check_deepspeed(parallel: str) -> None:
    if parallel == "zero3" and importlib.util.find_spec("deepspeed") is None:
        raise UserError(
            "--parallel zero3: needs deepspeed; pip install 'dipr1[deepspeed]', or set"
            " training.parallel to fsdp2"
        )


def _environment(spread: Spread, threads: int | None) -> dict[str, str]:
    """What `accelerate launch` would tell the processes of how the policy is spread over them."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

    told = {
        "config_file": FOLDER / f"{spread.parallel}.yaml",
        "num_machines": spread.nodes,
        "num_processes": spread.processes * spread.nodes,
        # torchrun's agent arranges who meets where
        "main_process_ip": "localhost",
        "main_process_port": 0,
        "machine_rank": 0,
    }
    words = [word for name, value in told.items() for word in (f"--{name}", str(value))]
    args = launch_command_parser().parse_args([*words, "-m", "dipr1.cli"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        args, *_ = _validate_launch_command(args)
    env = prepare_deepspeed_cmd_env(args)[1] if args.use_deepspeed else prepare_multi_gpu_env(args)
    new = {name: value for name, value in env.items() if os.environ.get(name) != value}
    return new | {LAUNCHED: "1", "OMP_NUM_THREADS": str(threads or 1)}


def _config(spread: Spread, folder: str) -> Any:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.launcher.api import LaunchConfig

    hidden = range(spread.processes) if _node() else range(1, spread.processes)
    return LaunchConfig(
        min_nodes=spread.nodes,
        max_nodes=spread.nodes,
        nproc_per_node=spread.processes,
        rdzv_backend="c10d",
        rdzv_endpoint=_endpoint(spread.nodes),
        run_id=os.environ.get("SLURM_JOB_ID", "dipr1"),
        max_restarts=0,
        signals_to_handle="SIGINT,SIGHUP,SIGQUIT",
        logs_specs=DefaultLogsSpecs(log_dir=folder, redirects=dict.fromkeys(hidden, Std.ALL)),
    )


def _node() -> int:
    return int(os.environ.get("SLURM_NODEID") or os.environ.get("NODE_RANK") or 0)


def _endpoint(nodes: int) -> str:
    """Where the processes meet."""
    if nodes == 1:
        return "localhost:0"
    return f"{os.environ.get('MASTER_ADDR') or _first_node(nodes)}:{_port()}"


def _port() -> int:
    """That of MASTER_PORT, or one that another job on the same nodes does not take."""
    return int(os.environ.get("MASTER_PORT") or PORT + int(os.environ.get("SLURM_JOB_ID", 0)) % 999)


def _first_node(nodes: int) -> str:
    """The first node of a SLURM job.

    Raises:
        UserError: there is none.
    """
    command = ["scontrol", "show", "hostnames", os.environ.get("SLURM_JOB_NODELIST", "")]
    with contextlib.suppress(OSError):
        if names := subprocess.run(command, capture_output=True, text=True).stdout.split():
            return names[0]
    raise UserError(
        f"--nodes {nodes}: which node is the first is not known; start it in a SLURM job, or let"
        " MASTER_ADDR name one of them, the same on all"
    )


@contextlib.contextmanager
def _handing_signals_on() -> Iterator[None]:
    """Send what we are sent to the processes that we have started."""
    import psutil

    def hand_on(number: int, frame: Any) -> None:
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(number)

    for number in SIGNALS:
        signal.signal(number, hand_on)
    try:
        yield
    finally:
        for number in SIGNALS:  # what comes now finds us leaving, and must not change the exit code
            signal.signal(number, signal.SIG_IGN)


def _tell(failure: Any, folder: str) -> None:
    """Show how a process ended that does not write to the terminal itself."""
    if failure.exitcode < 0:
        name = signal.Signals(-failure.exitcode).name
        hint = "; memory may have run out" if name == "SIGKILL" else ""
        say(f"dipr1 train: process {failure.local_rank} of this node was ended by {name}{hint}")
    for path in Path(folder).glob(f"**/{failure.local_rank}/stderr.log"):
        for line in path.read_text(errors="replace").splitlines()[-LINES:]:
            say(f"process {failure.local_rank}: {line}")
