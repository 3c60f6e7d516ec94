# SPDX-License-Identifier: Apache-2.0
"""What the tests of the verticals share: the program in a folder of its own, and what holds for every
training whatever it reads. usage: test_NAME.py COHORT KILL_AT [cuda]"""
import csv
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy  # noqa: F401
except ImportError:
    if os.environ.get("CI"):
        sys.exit("h5py is missing (Debian: python3-h5py)")
    print("NOT RUN: no h5py (Debian: python3-h5py)")
    sys.exit(77)

FOLDER = os.path.dirname(os.path.abspath(__file__))
KILLS = 3
ROUNDING = 1e-5  # of scores and losses near 1, from sums in another order


def need(condition, what):
    if not condition:
        raise AssertionError(what)


class Vertical:
    """A config, the data set `d.h5` that its test writes, and the program."""

    def __init__(self, name, *files):
        self.name = name
        self.config = os.path.join(FOLDER, name + ".yaml")
        self.program, self.kill_at = (os.path.abspath(p) for p in sys.argv[1:3])
        self.device = "cuda" if "cuda" in sys.argv[3:] else "cpu"
        self.changes = []  # of the config, for all trainings
        for file in files:
            if not os.path.exists(file):
                print(f"NOT RUN: no '{file}' (set COHORT_TEST_DATA; shared data)")
                sys.exit(77)
        # In memory where that is possible: every checkpoint waits for the disk.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = tempfile.mkdtemp(prefix="cohort_vertical_", dir=memory)
        os.environ["XDG_CACHE_HOME"] = self.folder  # ways of devices that were timed: only this test's
        os.chdir(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.chdir("/")
        shutil.rmtree(self.folder)

    def run(self, *words, expect=0, **environment):
        """The program's output and its log; `expect` is its exit code, or minus a signal."""
        done = subprocess.run([self.program, *words], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, check=False, env={**os.environ, **environment})
        need(done.returncode == expect,
             f"exit {done.returncode} instead of {expect}: cohort {' '.join(words)}\n{done.stderr}")
        return done.stdout, done.stderr

    def train(self, run, *words, expect=0, device=None, **environment):
        """Its log."""
        return self.run("train", "-c", self.config, "--dataset", "d.h5", "--run-dir", run, "--threads",
                        "1", "--device", device or self.device, *self.changes, *words, expect=expect,
                        **environment)[1]

    def evaluate(self, run, *words, dataset="d.h5"):
        """Metrics on the test rows, by name."""
        out, _ = self.run("evaluate", "-m", run, "--dataset", dataset, "--threads", "1", "--device",
                          self.device, "--json", *words)
        (output,) = json.loads(out)["metrics"].values()
        return output

    def predict(self, run, dataset="d.h5", *words):
        """Rows of test scores, by column, by key."""
        self.run("predict", "-m", run, "--dataset", dataset, "--split", "test", "--threads", "1",
                 "--device", self.device, "-O", "scores.csv", "--force", *words)
        with open("scores.csv", encoding="utf-8", newline="") as f:
            rows = list(csv.DictReader(f))
        need(rows, "nothing was scored")
        return {next(iter(row.values())): row for row in rows}

    def killed(self, run, *words):
        """A training that is killed at several places all over it and resumed each time."""
        preload = {"LD_PRELOAD": self.kill_at,
                   "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}
        self.train("counted", *words, COHORT_TEST_COUNT="count", **preload)
        with open("count", encoding="ascii") as f:
            operations = int(f.read())
        need(operations > 100, f"only {operations} operations on files")
        for i in range(KILLS):  # what was done is not done again: as much of the whole each time
            self.train(run, "--resume=auto", *words, expect=-9,
                       COHORT_TEST_KILL_AT=str(operations // (KILLS + 1) - i), **preload)
        log = self.train(run, "--resume=auto", *words)
        need("going on at step" in log, "the last one began anew")


def same_bytes(one, other):
    """Two runs ended with the same model, metrics and checkpoints."""
    checkpoints = sorted(os.listdir(os.path.join(one, "checkpoints")))
    need(checkpoints == sorted(os.listdir(os.path.join(other, "checkpoints"))),
         f"{one} and {other} have other checkpoints")
    for file in ["model.h5", "metrics.jsonl"] + [f"checkpoints/{c}" for c in checkpoints]:
        need(filecmp.cmp(f"{one}/{file}", f"{other}/{file}", shallow=False),
             f"{file} differs in {one} and {other}")


def records(run, split="train"):
    with open(os.path.join(run, "metrics.jsonl"), encoding="utf-8") as f:
        return [r for r in map(json.loads, f) if r["split"] == split]


def fitted(run, feature):
    """What a model learned of a feature, by name."""
    with h5py.File(os.path.join(run, "model.h5")) as f:
        return {name: array[()] for name, array in f["cohort/preprocessing"][feature].items()}


def weights(run, name):
    with h5py.File(os.path.join(run, "model.h5")) as f:
        return f["model_weights"][name][()]


def weights_sha256(v, run):
    out, _ = v.run("inspect", os.path.join(run, "model.h5"))
    return re.search(r"^sha256 +weights (\w+)$", out, re.M).group(1)


def agree(one, other, columns, what):
    """Scores of two predictions that may differ by rounding."""
    need(one.keys() == other.keys(), f"{what}: other keys")
    most = max(abs(float(row[c]) - float(other[key][c])) for key, row in one.items() for c in columns)
    print(f"{what}: scores differ by {most:.1e} at most")
    need(most <= ROUNDING, f"{what}: scores differ by {most}")


def check_exact(v, *words):
    """Any number of workers, killed and resumed or not: the same bytes. Returns the run."""
    words = (*words, "--trainer.steps_per_checkpoint", "7", "--trainer.log_every_n_steps", "3")
    v.train("whole", *words, "--workers", "1")
    v.train("workers", *words, "--workers", "3")
    same_bytes("whole", "workers")
    v.killed("killed", *words)
    same_bytes("whole", "killed")
    return "whole"


def check_device(v, *words):
    """On a device as on the CPU within rounding; recorded as operation by operation, whatever the data
    set's place, killed or not: the same bytes. Returns the log."""
    words = (*words, "--trainer.max_steps", "20", "--trainer.steps_per_checkpoint", "6",
             "--trainer.log_every_n_steps", "4", "--trainer.precision", "32")
    log = v.train("recorded", *words, "--dataset-placement", "device", "--log-level", "debug")
    need("not recorded" not in log, "steps are not recorded")
    v.train("eager", *words, "--eager")
    same_bytes("recorded", "eager")
    v.train("host", *words, "--dataset-placement", "host")
    same_bytes("recorded", "host")
    v.killed("killed", *words)
    same_bytes("recorded", "killed")
    v.train("cpu", *words, device="cpu")
    cpu, device = records("cpu"), records("recorded")
    need(len(cpu) >= 5 and len(cpu) == len(device), f"{len(cpu)} and {len(device)} records")
    most = max(abs(a["loss"] - b["loss"]) / (1 + abs(a["loss"])) for a, b in zip(cpu, device))
    print(f"losses differ from the CPU's by {most:.1e} at most")
    need(most <= ROUNDING, f"losses differ from the CPU's by {most}")
    return log


def captured(log):
    """What steps of training were recorded: rows, steps of a launch and length of the events of each."""
    return re.findall(r"record phase=0 rows=(\d+) steps=(\d+) length=(\d+)", log)
