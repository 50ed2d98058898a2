"""How a run is started: flags that every experiment has, none of which changes what is learnt but `init_from`."""

import re
from dataclasses import dataclass
from pathlib import Path

from jaxvae.errors import UserError
from jaxvae.runs.config import at_least, check_numbers, require
from jaxvae.training.parallel import Kind

NAME = "the name of one folder: at most 100 letters, digits, underscores, dots, plus and equal signs or dashes"


@dataclass(frozen=True)
class Options:
    """How a run is started."""

    name: str | None = None
    """name of the run, whose folder is OUT/EXPERIMENT/NAME; by default date and time"""
    out: Path = Path("runs")
    """folder of all runs"""
    resume: bool = False
    """continue the run called NAME from its latest checkpoint"""
    sweep: tuple[str, ...] = ()
    """train all combinations of FIELD=VALUE,VALUE,... and compare them; none trains the one model of the other flags"""
    one_at_a_time: bool = False
    """vary the fields of --sweep one at a time, the others at their first values, as in an ablation; seeds all"""
    init_from: Path | None = None
    """run or exported model of the same networks to start from, or the name of a shipped one, as digits-vae"""
    imports: tuple[str, ...] = ()
    """modules of your own that define parts of the models that are loaded"""
    keep: int = 2
    """latest checkpoints to keep"""
    save_every: int = 0
    """steps between checkpoints; 0 saves at every evaluation"""
    layout: Kind | None = None
    """placement of training steps on devices; by default sharded over several, scan on one"""
    devices: int | None = None
    """number of devices; by default all of a GPU or TPU machine, one of a CPU"""
    shard_params: bool = False
    """divide large parameters and the optimizer's moments among the devices"""
    distributed: bool = False
    """join the other processes of the same training; a cluster that JAX knows needs none of the next three flags"""
    coordinator: str | None = None
    """HOST:PORT of process 0"""
    num_processes: int | None = None
    """processes of the training"""
    process_id: int | None = None
    """number of this process, from 0"""
    timeout: int = 300
    """seconds to wait for the other processes"""

    def __post_init__(self) -> None:
        check_numbers(self)
        name = self.name
        require("name", name, name is None or re.fullmatch(r"\w[\w.+=-]{0,99}", name) is not None, NAME)
        at_least(self, 1, "keep", "timeout")
        at_least(self, 0, "save_every")
        require("devices", self.devices, self.devices is None or self.devices >= 1, "at least 1")
        for field in ("coordinator", "num_processes", "process_id"):
            value = getattr(self, field)
            require(field, value, value is None or self.distributed, "none without --distributed")


def refuse(options: Options, kind: str, *fields: str) -> None:
    """Raise a `UserError` if options are given that a kind of run has no use for."""
    for field in fields:
        if getattr(options, field):
            raise UserError(f"--{field.replace('_', '-')} is not for {kind}: leave it out.")
