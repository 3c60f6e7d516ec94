# SPDX-License-Identifier: Apache-2.0
"""Training, in one go or step by step."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence, Union

from . import _native
from ._context import CohortError, Context, OnEpoch, OnProgress
from ._tables import Path, Table, on_disk

Config = Union[Path, Sequence[Path], Mapping[str, Any]]
_ALL = 2**63 - 1


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands (cohort_training_state of cohort.h). NaN: there is none such yet."""

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    gradient_norm: float
    learning_rate: float
    done: bool


OnStep = Callable[[TrainingState], Optional[bool]]


class Training:
    """A training in the caller's hands: advance it until it is done, and close it, which writes the
    model. What is closed before goes on by `resume`. To be used as a context manager:

        with cohort.Training("config.yaml", dataset="customers.h5", run_dir="run") as training:
            for state in training:  # after each step
                print(state.step, state.loss)
        print(training.result["best"])

    The run's bytes are those of train(), and of `cohort train`, whatever portions the steps come in.

    config: a YAML file, several that are merged, or a mapping; None for a raw table: preset auto.
    dataset: a dataset.h5, a raw table (then `target` names what to predict), or columns in memory.
    set: values of the config by their path, {"trainer.max_epochs": 3}.
    resume: the run's folder, or "auto" (with run_dir): begin, go on, or find it done.
    on_epoch: called after each epoch's validation; True makes it the last.
    options: further members of cohort_train_options, by name.

    `threads` and `seed` make a run reproducible; 0 threads are as many as there are cores.
    """

    result: dict[str, Any]  # once it is closed

    def __init__(self, config: Config | None = None, *, dataset: Table | None = None,
                 target: str | Sequence[str] | None = None, key: str | None = None, run_dir: Path | None = None,
                 resume: Path | None = None, set: Mapping[str, Any] | None = None,  # pylint: disable=redefined-builtin
                 seed: int | None = None, device: str | None = None, threads: int = 0,
                 on_epoch: OnEpoch | None = None, on_progress: OnProgress | None = None, **options: Any) -> None:
        assignments = [f"{path}={json.dumps(value)}" for path, value in (set or {}).items()]
        if seed is not None:
            assignments.append(f"trainer.seed={seed}")
        if isinstance(config, Mapping):
            options["preset"] = json.dumps(config)
        elif config is not None:
            options["files"] = [config] if isinstance(config, (str, os.PathLike)) else list(config)
        self._pointer = ctypes.c_void_p()
        self._kept = contextlib.ExitStack()
        with contextlib.ExitStack() as begun:
            path = begun.enter_context(on_disk(dataset)) if dataset is not None else None
            self._options = _native.structs["cohort_train_options"]()
            _native.fill(self._options, {**options, "assignments": assignments, "dataset": path, "targets": target,
                                         "key": key, "run_dir": run_dir, "resume": resume, "device": device,
                                         "threads": threads})
            self._context = begun.enter_context(Context(threads, on_epoch, on_progress))
            library = _native.library
            if self._context.run(lambda: int(library.cohort_training_open(
                    ctypes.byref(self._pointer), self._context.pointer, ctypes.byref(self._options)))):
                self._finish()
            self._kept = begun.pop_all()

    @property
    def state(self) -> TrainingState:
        """Where it stands."""
        self._check_open()
        told = _native.structs["cohort_training_state"]()
        _native.library.cohort_training_get_state(self._pointer, ctypes.byref(told))
        return TrainingState(**{name: getattr(told, name) for name, _ in told._fields_})

    def advance(self, steps: int | None = 1) -> TrainingState:
        """Does so many further steps, or all that are left (None), with validation and checkpoints."""
        self._do("advance", _ALL if steps is None else steps)
        return self.state

    def __iter__(self) -> Iterator[TrainingState]:
        """One step at a time, until it is done."""
        while not self.state.done:
            yield self.advance()

    def save(self) -> None:
        """Writes a checkpoint of where it stands."""
        self._do("save")

    def end(self) -> None:
        """Makes the step that was done last the last one of all, as early stopping does."""
        self._do("end")

    def close(self) -> dict[str, Any]:
        """Ends it and tells what came of it (as `cohort train --json`). CohortError of status 75, after a
        checkpoint, where it is not done. Legal again."""
        if self._pointer:
            with self._kept:
                self._finish()
        return self.result

    def __enter__(self) -> Training:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None and self._pointer and not self.state.done:
            with contextlib.suppress(CohortError):  # whoever leaves early knows
                self.close()
        elif kind is None:
            self.close()
        else:
            with contextlib.suppress(CohortError, KeyboardInterrupt):
                self.close()

    def _check_open(self) -> None:
        if not self._pointer:
            raise ValueError("the training is closed")

    def _do(self, what: str, *arguments: int) -> None:
        self._check_open()
        function = getattr(_native.library, f"cohort_training_{what}")
        if self._context.run(lambda: int(function(self._pointer, *arguments))):
            self.close()

    def _finish(self) -> None:
        result = ctypes.c_void_p()
        pointer, self._pointer = self._pointer, ctypes.c_void_p()
        if not pointer:
            raise MemoryError("out of memory")
        status = self._context.run(
            lambda: int(_native.library.cohort_training_close(pointer, ctypes.byref(result))))
        try:
            self.result = self._context.take(status, result)
        except BaseException as error:
            told = error if isinstance(error, CohortError) else error.__cause__
            self.result = told.result if isinstance(told, CohortError) else {}
            raise


def train(config: Config | None = None, *, on_step: OnStep | None = None, **options: Any) -> dict[str, Any]:
    """Trains a model, or goes on training (`resume`), and tells what came of it: {"run": its folder, …},
    as `cohort train --json`. Takes what Training takes.

    on_step: called after each step with a TrainingState; True makes it the last.

    Ctrl-C finishes the step, writes a checkpoint and raises KeyboardInterrupt; resume=RUN goes on to the
    bytes of a training never stopped. So does what a callback raises.
    """
    with Training(config, **options) as training:
        if on_step is None:
            training.advance(None)
        else:
            for state in training:
                if on_step(state):
                    training.end()
        return training.close()
