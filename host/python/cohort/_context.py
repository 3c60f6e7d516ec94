# SPDX-License-Identifier: Apache-2.0
"""A context of the library, and the thread that calls it, so that Ctrl-C reaches Python meanwhile."""

from __future__ import annotations

import concurrent.futures
import ctypes
import json
import logging
import signal
import threading
from dataclasses import dataclass
from typing import Any, Callable, Optional

from . import _native

_log = logging.getLogger("cohort")
_LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, 5)
_lock = threading.Lock()  # the HDF5 library takes one call at a time
_caller = threading.local()  # .busy: this thread is inside a call of the library


@dataclass(frozen=True)
class Problem:
    """One thing that was wrong. `file` is "" and `line`, `column` are 0 where it is about no place."""

    code: str
    message: str
    file: str
    line: int
    column: int
    hint: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return (f"{place}: " if place else "") + self.message + (f"\n  hint: {self.hint}" if self.hint else "")


class CohortError(Exception):
    """A call that failed. `status` is the exit code of the command line, `code` its name ("config",
    "data", …); `problems` are all that were found, the first of which `message` and `hint` tell."""

    def __init__(self, status: int, problems: list[Problem], result: dict[str, Any]) -> None:
        first = problems[0]
        super().__init__("\n".join(str(problem) for problem in problems))
        self.status, self.problems, self.result = status, problems, result
        self.code, self.message, self.hint = first.code, first.message, first.hint
        self.file, self.line, self.column = first.file, first.line, first.column


@dataclass(frozen=True)
class Epoch:
    """An epoch that ended, and its validation (cohort_epoch of cohort.h). NaN: there is none such."""

    step: int
    number: int
    of: int
    train_loss: float
    validation_loss: float
    metric: str
    metric_value: float
    best: bool
    learning_rate: float
    rows_per_second: float
    seconds: float


OnEpoch = Callable[[Epoch], Optional[bool]]
OnProgress = Callable[[str, str, int, int, str], None]


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


class Context:
    """Owns a cohort_context, its callbacks and its thread, until close()."""

    def __init__(self, threads: int = 0, on_epoch: OnEpoch | None = None,
                 on_progress: OnProgress | None = None) -> None:
        self._failure: BaseException | None = None
        self._stop = ctypes.c_int(0)
        self._on_epoch, self._on_progress = on_epoch, on_progress
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "cohort")
        self._kept = [_native.callback("cohort_log_function")(self._hear_log),
                      _native.callback("cohort_epoch_function")(self._hear_epoch),
                      _native.callback("cohort_progress_function")(self._hear_progress)]
        options = _native.structs["cohort_context_options"]()
        options.threads, options.log_level = threads, self._level()
        options.stop = ctypes.pointer(self._stop)
        options.log, options.epoch = self._kept[0], self._kept[1]
        if on_progress:
            options.progress = self._kept[2]
        self.pointer = ctypes.c_void_p()
        if _native.library.cohort_context_create(ctypes.byref(self.pointer), ctypes.byref(options)):
            raise MemoryError("there is no memory for a context")

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees it. Legal again."""
        self._pool.shutdown()
        _native.library.cohort_context_free(self.pointer)
        self.pointer = ctypes.c_void_p()

    @staticmethod
    def _level() -> int:
        level = _log.getEffectiveLevel()
        return max(i for i, one in enumerate(_LEVELS) if i == 0 or one >= level)

    # ---- callbacks: on threads of the library ------------------------------------------------------

    def guard(self, call: Callable[[], Any]) -> Any:
        """What a callback raises ends the call, which raises it again."""
        try:
            return call()
        except BaseException as failure:  # pylint: disable=broad-except
            self._failure = self._failure or failure
            self._stop.value = signal.SIGINT
            return None

    def _hear_log(self, _: Any, level: int, event: bytes, text: bytes) -> None:
        self.guard(lambda: _log.log(_LEVELS[level], "%s %s", _text(event), _text(text)))

    def _hear_epoch(self, _: Any, epoch: Any) -> bool:
        if not self._on_epoch or self._failure:
            return False
        fields = {name: getattr(epoch.contents, name) for name, _ in epoch.contents._fields_}
        told, on_epoch = Epoch(**{**fields, "metric": _text(fields["metric"])}), self._on_epoch
        return bool(self.guard(lambda: on_epoch(told)))

    def _hear_progress(self, _: Any, stage: bytes, unit: bytes, done: int, total: int, detail: bytes | None) -> None:
        if self._on_progress and not self._failure:
            on_progress = self._on_progress
            self.guard(lambda: on_progress(_text(stage), _text(unit), done, total, _text(detail)))

    # ---- calls -------------------------------------------------------------------------------------

    def run(self, function: Callable[[], int]) -> int:
        """Calls the library by `function`, on the context's thread. Ctrl-C, and what a callback raises,
        ask the library to stop, which it does at the next good point."""
        if getattr(_caller, "busy", False):
            raise RuntimeError("a callback cannot call Cohort; between the steps of a Training one can")

        def call() -> int:
            with _lock:
                _caller.busy = True
                try:
                    return function()
                finally:
                    _caller.busy = False

        future = self._pool.submit(call)
        while True:
            try:
                status = future.result()
                break
            except KeyboardInterrupt as interrupt:
                self._failure = self._failure or interrupt
                self._stop.value = signal.SIGINT
        return status

    def take(self, status: int, result: Any) -> dict[str, Any]:
        """What a result says, which is freed; CohortError for one that failed."""
        if not result:
            raise MemoryError("out of memory")
        try:
            told: dict[str, Any] = json.loads(_native.library.cohort_result_json(result))
            error, problems = _native.structs["cohort_error"](), []
            for i in range(_native.library.cohort_result_error_count(result)):
                _native.library.cohort_result_error(result, i, ctypes.byref(error))
                problems.append(Problem(_text(error.code), _text(error.message), _text(error.file), error.line,
                                        error.column, _text(error.hint)))
        finally:
            _native.library.cohort_result_free(result)
        failure, self._failure = self._failure, None
        self._stop.value = 0
        if failure:
            raise failure from (CohortError(status, problems, told) if status else None)
        if status:
            raise CohortError(status, problems, told)
        return told

    def call(self, verb: str, *arguments: Any) -> dict[str, Any]:
        """A public function whose last argument is its result."""
        result = ctypes.c_void_p()
        function = getattr(_native.library, f"cohort_{verb}")
        status = self.run(lambda: int(function(self.pointer, *arguments, ctypes.byref(result))))
        return self.take(status, result)


def call(verb: str, options: dict[str, Any], context: Context | None = None) -> dict[str, Any]:
    """A verb with the options of its struct, by name."""
    function = getattr(_native.library, f"cohort_{verb}", None)
    arguments = function.argtypes or [] if function else []
    kind = getattr(arguments[1], "_type_", None) if len(arguments) == 3 else None
    if not isinstance(kind, type) or not issubclass(kind, ctypes.Structure):
        raise TypeError(f"there is no verb '{verb}' with options; cohort.h has them as cohort_…")
    struct = kind()
    _native.fill(struct, options)
    with context or Context(int(options.get("threads") or 0)) as own:
        return own.call(verb, ctypes.byref(struct))
