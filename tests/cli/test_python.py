# SPDX-License-Identifier: Apache-2.0
"""usage: test_python.py SOURCE BUILD COHORT. The Python module (host/python), from a wheel that is made of the
build's shared library: what it does is what the program does."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
import zipfile

try:
    import numpy as np
except ImportError:
    if os.environ.get("CI"):
        sys.exit("NumPy is missing (Debian: python3-numpy)")
    print("NOT RUN: no NumPy (Debian: python3-numpy)")
    sys.exit(77)

SOURCE, BUILD, PROGRAM = (os.path.abspath(path) for path in sys.argv[1:4])
sys.dont_write_bytecode = True
STEPS = {"trainer.max_epochs": 3, "trainer.log_every_n_steps": 1}
SETTINGS = ["-s", "trainer.max_epochs=3", "-s", "trainer.log_every_n_steps=1"]


def program(*words):
    done = subprocess.run([PROGRAM, *words, "--json", "-q", "-q", "--progress", "none", "--threads", "1"],
                          stdout=subprocess.PIPE, check=False)
    return json.loads(done.stdout)


def content(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def arrays():
    """The customers as columns in memory."""
    with open("customers.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    made = {name: [row[name] or None for row in rows] for name in rows[0]}
    for name in ("age", "visits"):
        made[name] = np.array([np.nan if cell is None else float(cell) for cell in made[name]], np.float32)
    made["basket"] = np.array([np.nan if cell is None else float(cell) for cell in made["basket"]])
    return made


class Module(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cohort.synthesize("customers.csv", rows=1200, seed=5)
        cls.whole = cohort.train(dataset="customers.csv", target="bought", key="customer", run_dir="whole", threads=1,
                                 set=STEPS)

    def same_run(self, folder):
        for name in ("model.h5", "metrics.jsonl", "config.full.yaml", "dataset.h5"):
            self.assertEqual(content("whole", name), content(folder, name), f"{folder}/{name}")

    def steps(self, folder, **options):
        return cohort.Training(dataset="customers.csv", target="bought", key="customer", run_dir=folder, threads=1,
                               set=STEPS, **options)

    def test_program(self):
        told = program("train", "--dataset", "customers.csv", "--target", "bought", "--key", "customer", "--run-dir",
                       "by_program", *SETTINGS)
        self.same_run("by_program")
        self.assertEqual(told["best"], self.whole["best"])
        measured = cohort.evaluate("whole", "whole/dataset.h5", threads=1)
        self.assertEqual(measured["metrics"], program("evaluate", "-m", "whole", "--dataset", "whole/dataset.h5")["metrics"])
        self.assertEqual(cohort.inspect("whole/model.h5")["weights_sha256"], cohort.inspect("whole")["weights_sha256"])
        self.assertTrue(cohort.doctor()["ok"])
        self.assertTrue(cohort.run_verb("data_check", dataset="whole/dataset.h5")["ok"])
        for none in ("no_such", "training_save", "version", "inspect"):
            with self.assertRaisesRegex(TypeError, "there is no verb"):
                cohort.run_verb(none)

    def test_scores(self):
        program("predict", "-m", "whole", "--dataset", "customers.csv", "-O", "scores.csv")
        with open("scores.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        scores = cohort.predict("whole", "customers.csv", threads=1)
        self.assertEqual(list(scores), rows[0])
        self.assertEqual(scores["bought_score"].dtype, np.float32)
        self.assertEqual(scores["customer"].tolist(), [row[0] for row in rows[1:]])
        self.assertEqual(scores["bought"].tolist(), [row[1] for row in rows[1:]])
        self.assertEqual(scores["bought_score"].tolist(), np.array([row[2] for row in rows[1:]], np.float32).tolist())
        told = cohort.predict_file("whole", "customers.csv", "again.csv", threads=1)
        self.assertEqual((told["rows"], content("again.csv")), (1200, content("scores.csv")))
        ranked = cohort.predict("whole", "whole/dataset.h5", split="test", columns=["key", "rank", "score=p"])
        self.assertEqual((ranked["bought_rank"].dtype, ranked["p"].shape), (np.int64, ranked["customer"].shape))
        best = ranked["customer"][np.argmin(ranked["bought_rank"])]
        self.assertEqual(best, ranked["customer"][np.argmax(ranked["p"])])

    def test_arrays(self):
        told = [cohort.import_csv(source, output, target="bought", key="customer")
                for source, output in (("customers.csv", "file.h5"), (arrays(), "arrays.h5"))]
        self.assertEqual(told[0]["columns"], told[1]["columns"])
        np.testing.assert_array_equal(cohort.predict("whole", arrays(), threads=1)["bought_score"],
                                      cohort.predict("whole", "customers.csv", threads=1)["bought_score"])
        with self.assertRaisesRegex(ValueError, "2 lengths"):
            cohort.import_csv({"a": [1, 2], "b": [1]}, "x.h5", target="b")
        with self.assertRaisesRegex(ValueError, "'a' has 2 dimensions"):
            cohort.predict("whole", {"a": np.zeros((2, 2))})
        days = {"day": np.array(["2024-02-29", "NaT", "2023-01-01"] * 9, "datetime64[D]"),
                "x": np.arange(27), "y": [0, 1, 1] * 9}
        told = cohort.import_csv(days, "days.h5", target="y", types="day=date")
        self.assertEqual([(column["name"], column["type"]) for column in told["columns"]],
                         [("day", "date"), ("x", "number"), ("y", "binary")])
        self.assertFalse([name for name in os.listdir(tempfile.gettempdir()) if name.startswith("cohort-")])

    def test_stepwise(self):
        with self.steps("steps") as training:
            self.assertEqual((training.state.step, training.state.epoch), (0, 0))
            self.assertEqual(training.advance(2).step, 2)
            numbers = [state.step for state in training]
            losses = training.state.loss
        self.assertEqual(numbers, list(range(3, training.result["steps"] + 1)))
        self.assertEqual(json.loads(content("whole", "metrics.jsonl").splitlines()[-2])["loss"], losses)
        self.same_run("steps")
        with self.assertRaisesRegex(ValueError, "closed"):
            training.advance()
        with self.steps("left") as training:
            for state in training:
                training.save()
                if state.step == 3:
                    break
        self.assertEqual((training.result["exit"], training.result["error"]["code"]), (75, "stopped"))
        cohort.train(resume="left", dataset="customers.csv", target="bought", key="customer")
        self.same_run("left")

    def test_callbacks(self):
        epochs, stages = [], set()
        told = cohort.train(dataset="customers.csv", target="bought", run_dir="heard", threads=1, set=STEPS,
                            on_epoch=lambda epoch: epochs.append(epoch) or epoch.number == 2,
                            on_progress=lambda stage, *_: stages.add(stage))
        self.assertEqual((told["epochs"], [epoch.number for epoch in epochs]), (2, [1, 2]))
        self.assertIn("train", stages)
        self.assertEqual(epochs[0].metric, "loss")
        ended = cohort.train(dataset="customers.csv", target="bought", run_dir="ended", threads=1, set=STEPS,
                             on_step=lambda state: state.step == epochs[1].step)
        self.assertEqual(ended["epochs"], 2)
        self.assertEqual(content("heard", "model.h5"), content("ended", "model.h5"))

        def fail(epoch):
            raise LookupError(epoch.number)
        with self.assertRaisesRegex(LookupError, "1"):
            with self.steps("failed", on_epoch=fail) as training:
                training.advance(None)
        cohort.train(resume="failed", dataset="customers.csv", target="bought", key="customer")
        self.same_run("failed")
        with self.assertRaisesRegex(RuntimeError, "callback cannot call Cohort"):
            cohort.train("whole/config.full.yaml", dataset="whole/dataset.h5", run_dir="nested",
                         on_epoch=lambda _: bool(cohort.doctor()))

    def test_interrupt(self):
        script = ("import cohort, os, signal\n"
                  "def hear(stage, unit, done, *_):\n"
                  "    if stage == 'train' and done == 4: os.kill(os.getpid(), signal.SIGINT)\n"
                  "try:\n"
                  "    cohort.train(dataset='customers.csv', target='bought', key='customer', run_dir='cut', threads=1,\n"
                  f"                 set={STEPS}, on_progress=hear)\n"
                  "except KeyboardInterrupt as stop: print(stop.__cause__.status, stop.__cause__.hint)\n")
        done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, text=True,
                              env={**os.environ, "PYTHONPATH": sys.path[0]})
        self.assertEqual(done.stdout, f"{128 + signal.SIGINT} go on with --resume cut\n")
        self.assertEqual(json.loads(content("cut", "run.json"))["status"], "stopped")
        cohort.train(resume="cut", dataset="customers.csv", target="bought", key="customer")
        self.same_run("cut")

    def test_errors(self):
        with self.assertRaises(cohort.CohortError) as caught:
            cohort.train({"trainer": {"max_epoch": 3, "batch_size": 0}}, dataset="whole/dataset.h5", run_dir="none")
        self.assertEqual((caught.exception.status, caught.exception.code), (3, "config"))
        self.assertGreater(len(caught.exception.problems), 1)
        self.assertIn("max_epochs", str(caught.exception))
        self.assertFalse(os.path.exists("none"))
        with self.assertRaises(cohort.CohortError) as caught:
            cohort.evaluate("whole", "whole/dataset.h5", require="roc_auc>=0.999", draws=-1)
        self.assertEqual((caught.exception.status, caught.exception.result["exit"]), (10, 10))
        with self.assertRaisesRegex(TypeError, "no option 'splt'; there are .*split"):
            cohort.evaluate("whole", "whole/dataset.h5", splt="test")
        with self.assertRaises(cohort.CohortError) as caught:
            cohort.import_csv("customers.csv", "file.csv.h5", target="bough")
        self.assertEqual(caught.exception.file, "customers.csv")
        self.assertTrue(caught.exception.hint)

    def test_readme(self):
        with open(os.path.join(SOURCE, "host", "python", "README.md"), encoding="utf-8") as file:
            blocks = re.findall(r"^```python\n(.*?)^```", file.read(), re.M | re.S)
        os.mkdir("readme")
        one_core = {min(os.sched_getaffinity(0))}  # so many threads that they need not wait for others
        done = subprocess.run([sys.executable, "-c", "\n".join(blocks)], stdout=subprocess.PIPE, text=True, check=True,
                              cwd="readme", preexec_fn=lambda: os.sched_setaffinity(0, one_core), env={**os.environ, "PYTHONPATH": sys.path[0]})
        self.assertIn("roc_auc", done.stdout)
        self.assertIn("C00000001", done.stdout)


with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as home:
    sys.path.insert(0, os.path.join(SOURCE, "host", "python"))
    import backend
    with zipfile.ZipFile(os.path.join(home, backend.build_wheel(home, {"build": BUILD}))) as wheel:
        wheel.extractall(os.path.join(home, "site"))
    sys.path[0] = os.path.join(home, "site")
    os.mkdir(os.path.join(home, "tmp"))
    tempfile.tempdir = os.environ["TMPDIR"] = os.path.join(home, "tmp")
    os.chdir(home)
    import cohort
    failed = not unittest.main(argv=["test_python"], exit=False).result.wasSuccessful()
    os.chdir("/")
    tempfile.tempdir = None
sys.exit(failed)
