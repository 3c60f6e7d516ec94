# SPDX-License-Identifier: Apache-2.0
"""What scripts/gpu_check and scripts/gpu_session share: the programs with their libraries, checks that
keep to a time and to what they found, data, and the checks that both make."""

import filecmp
import glob
import hashlib
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = {"cohort": "", "test_ops": "tests/ops", "test_plugin": "tests/cudasim/plugin",
            "device_properties": "tests/gpu", "bench_ops": "tests/bench"}
PLUGIN = "libcohort_cuda.so"
# Largest relative difference of a loss from the CPU's in ten steps, by the arithmetic of products: a
# rounding unit of 2^-24, 2^-11 and 2^-8, and some hundred for what training makes of it.
LOSS_TOLERANCE = {"32": 1e-3, "tf32": 2e-2, "bf16": 8e-2}


def give_up(text, code=1):
    print(f"{os.path.relpath(sys.argv[0], ROOT)}: {text}", file=sys.stderr)
    sys.exit(code)


class NotRun(Exception):
    """What cannot be checked here, and why."""


class Failed(Exception):
    """What was checked and found wrong."""


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


# ---- where everything lies -----------------------------------------------------------------------

class Tree:
    """Programs, plugin and libraries, copied together under <output>/tree."""

    def __init__(self, options):
        self.options = options
        self.folder = os.path.join(options.output, "tree")
        self.bin = os.path.join(self.folder, "bin")
        self.bundle, self.facts = None, {}
        source = options.bundle or (ROOT if os.path.exists(os.path.join(ROOT, "VERSION")) else None)
        if source:
            self.from_bundle(source)
        else:
            self.from_build(options.build)
        self.environment = dict(os.environ, CUBLAS_WORKSPACE_CONFIG=":4096:2")  # as the program sets it
        if options.on_doubles:
            sim = os.path.join(options.build, "tests", "cudasim")
            self.environment.update(
                LD_LIBRARY_PATH=f"{sim}/doubles/lib:{sim}/plugin/driver",
                COHORT_SIM_KERNELS=f"{sim}/plugin/lib/{PLUGIN}", COHORT_SIM_SEED="1")
        else:
            folders = subprocess.run([os.path.join(ROOT, "scripts", "cuda_libraries"), self.cuda_major()],
                                     stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
            given = self.environment.get("LD_LIBRARY_PATH")
            if folders:
                self.environment["LD_LIBRARY_PATH"] = folders + (f":{given}" if given else "")

    def cuda_major(self):
        if "cuda" in self.facts:
            return self.facts["cuda"]
        plugin = os.path.join(self.bin, PLUGIN)
        if os.path.exists(plugin):
            with open(plugin, "rb") as f:
                found = re.search(rb"libcudart\.so\.(\d+)", f.read())
            if found:
                return found.group(1).decode()
        return "13"

    def from_bundle(self, source):
        if not os.path.isdir(source):
            target = os.path.join(self.options.output, "bundle")
            if not os.path.isdir(target) or os.path.getmtime(target) < os.path.getmtime(source):
                shutil.rmtree(target, ignore_errors=True)
                with tarfile.open(source) as archive:
                    archive.extractall(target)
                os.utime(target)
            source = os.path.join(target, os.listdir(target)[0])
        self.bundle = source
        with open(os.path.join(source, "VERSION"), encoding="utf-8") as f:
            self.facts = json.load(f)
        built = os.path.join(self.bin, PLUGIN) # what the stage build has made stays
        kept = None
        if os.path.exists(built):
            with open(built, "rb") as f:
                kept = f.read()
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(source, self.folder, symlinks=True)
        if kept and not self.options.again:
            with open(built, "wb") as f:
                f.write(kept)

    def from_build(self, build):
        if not os.path.exists(os.path.join(build, "cohort")):
            give_up(f"no build in {os.path.relpath(build)}; run cmake --preset release && cmake --build "
                    "--preset release, or name a bundle by --bundle", 4)
        os.makedirs(self.bin, exist_ok=True)
        for name, place in {**PROGRAMS, PLUGIN: ""}.items():
            file = os.path.join(build, place, name)
            if name == PLUGIN and self.options.on_doubles and not os.path.exists(file): # without nvcc
                file = os.path.join(build, "tests", "cudasim", "plugin", "lib", name)
            target = os.path.join(self.bin, name)
            if not os.path.exists(file):
                continue
            if name == PLUGIN and os.path.exists(target) and not self.options.on_doubles and not self.options.again:
                continue
            shutil.copy2(file, target)

    def program(self, name):
        path = os.path.join(self.bin, name)
        if not os.path.exists(path):
            raise NotRun(f"there is no {name} ({'the bundle was made without --tests' if self.bundle else 'not built'})")
        return path

    def plugin(self):
        for folder in (self.bin, os.path.join(self.folder, "lib")):
            if os.path.exists(os.path.join(folder, PLUGIN)):
                return os.path.join(folder, PLUGIN)
        raise NotRun("there is no CUDA plugin; run the stage build where nvcc is")

    def presets(self):
        """Those that read images, as the data of this check are."""
        return sorted(glob.glob(os.path.join(ROOT, "models", "presets", "product-*.yaml")))

    def digest(self):
        """Names these binaries."""
        total = hashlib.sha256()
        for name in sorted(os.listdir(self.bin)) + [os.path.join("..", "lib", PLUGIN)]:
            path = os.path.join(self.bin, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    total.update(f.read())
        return total.hexdigest()[:16]

    def commit(self):
        if self.facts:
            return self.facts["commit"]
        answer = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True, check=False).stdout.strip()
        return answer or "unknown"


# ---- checks --------------------------------------------------------------------------------------

class Checks:
    """Runs checks of a stage within its budget and keeps what they gave."""

    def __init__(self, tree, options):
        self.tree, self.options = tree, options
        self.rows, self.stage, self.deadline = [], None, 0.0
        self.work = os.path.join(options.output, "work")
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)
        self.help = {}

    def left(self):
        return self.deadline - time.monotonic()

    def run(self, *words, timeout=None, environment=None, ok=(0,)):
        """Standard output, standard error, exit code; Failed if the code is none of `ok`."""
        if self.left() <= 0:
            raise NotRun("no time was left in this stage")
        limit = min(self.left(), timeout or self.left())
        try:
            answer = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                                    timeout=limit, env={**self.tree.environment, **(environment or {})}, check=False,
                                    cwd=self.work)
        except subprocess.TimeoutExpired:
            raise Failed(f"{os.path.basename(words[0])} {' '.join(words[1:])[:80]} ran past {limit:.0f} s") from None
        if ok is not None and answer.returncode not in ok:
            raise Failed(f"{os.path.basename(words[0])} {' '.join(words[1:])[:80]}: exit {answer.returncode}: "
                         f"{last_line(answer.stderr) or last_line(answer.stdout)}")
        return answer.stdout, answer.stderr, answer.returncode

    def check(self, name, function, *arguments):
        begin = time.monotonic()
        try:
            status, detail = "pass", function(*arguments)
        except NotRun as reason:
            status, detail = "not run", str(reason)
        except Failed as reason:
            status, detail = "FAIL", str(reason)
        row = {"stage": self.stage, "check": name, "status": status, "detail": detail or "",
               "seconds": round(time.monotonic() - begin, 1)}
        self.rows.append(row)
        print(f"{self.stage:9} {name:34} {status:8} {row['seconds']:7.1f} s  {row['detail']}", flush=True)
        return status == "pass"

    # ---- the program

    def cohort(self, *words, **more):
        text, problems, code = self.run(self.tree.program("cohort"), *words, "--json", "-q", "--progress", "none", **more)
        try:
            return json.loads(text), problems, code
        except ValueError:
            raise Failed(f"cohort {words[0]} printed no JSON: {last_line(text)}") from None

    def offers(self, verb, option):
        if verb not in self.help:
            self.help[verb] = self.run(self.tree.program("cohort"), "help", verb)[0]
        return option in self.help[verb]

    def train(self, name, config, data, device, steps, *words, rows=None, **more):
        """Trains into work/<name>; the losses of the steps."""
        folder = os.path.join(self.work, name)
        shutil.rmtree(folder, ignore_errors=True)
        answer, problems, _ = self.cohort(
            "train", "-c", config, "--dataset", data, "--run-dir", folder, "--device", device, "--seed", "7", "-s",
            f"trainer.max_steps={steps}", "-s", "trainer.max_epochs=100000", "-s", "trainer.log_every_n_steps=1", "-s",
            f"trainer.batch_size={rows or self.options.rows}", *self.autotune(), *words, **more)
        return answer, self.losses(folder), problems

    def autotune(self):
        """The first training of a shape times, the others take its choices."""
        cache = os.path.join(self.options.output, "autotune.tsv")
        return ["--autotune-cache", cache] if self.options.autotune else ["--autotune", "off"]

    def losses(self, folder, split="train"):
        with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as f:
            records = [json.loads(line) for line in f]
        return [record["loss"] for record in records if record["split"] == split]

    def same(self, one, other, *files):
        for name in files:
            a, b = (os.path.join(self.work, run, name) for run in (one, other))
            if not os.path.exists(a) or not os.path.exists(b):
                raise Failed(f"{name} is missing in {one if not os.path.exists(a) else other}")
            if not filecmp.cmp(a, b, shallow=False):
                raise Failed(f"{name} of {one} and {other} differ")


# ---- data ----------------------------------------------------------------------------------------

def write_idx(path, sizes, data):
    with open(path, "wb") as f:
        f.write(bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + data)


def make_images(checks, rows):
    """A data set of noise with a bright band that tells the class: nothing learns from zeros."""
    rng = random.Random(1)
    side, classes = 28, 10
    pixels, labels = bytearray(), bytearray()
    for row in range(rows):
        label = row % classes
        image = bytearray(rng.randrange(128) for _ in range(side * side))
        for i in range(label * 2 * side, (label * 2 + 4) * side):
            image[i] += 100
        pixels += image
        labels.append(label)
    images, targets = (os.path.join(checks.work, name) for name in ("images", "labels"))
    write_idx(images, (rows, side, side), bytes(pixels))
    write_idx(targets, (rows,), bytes(labels))
    output = os.path.join(checks.work, "images.h5")
    checks.cohort("import", "-O", output, "--format", "idx", "--training-set", images, targets, "--test-set", images,
                  targets, "--force")
    return output


# ---- checks of both ------------------------------------------------------------------------------

def opens(checks):
    answer, _, _ = checks.cohort("doctor")
    if not answer.get("cuda_usable"):
        raise Failed(answer.get("cuda_missing") or answer.get("cuda", "doctor tells nothing of CUDA"))
    return answer["cuda"]


def device_properties(checks):
    text, problems, code = checks.run(checks.tree.program("device_properties"), ok=(0, 77))
    if code:
        raise NotRun(last_line(problems))
    version = re.search(r"cuDNN (\d+)", problems)
    json.loads(text)
    name = f"device-properties-cudnn-{version.group(1) if version else 'unknown'}.json"
    with open(os.path.join(checks.options.output, name), "w", encoding="utf-8") as f:
        f.write(text)
    return f"{name}, to replace tests/cudasim/h100.json"


def plugin_test(checks, *words):
    environment = {"COHORT_SIM_LEAKS": "1"} if checks.options.on_doubles else None
    checks.run(checks.tree.program("test_plugin"), *words, environment=environment)
    return ""


def as_the_cpu(cpu, gpu, steps, precision):
    """How far the losses of some steps are from the CPU's; Failed beyond what rounding makes of them."""
    if len(cpu) != len(gpu) or len(cpu) != steps:
        raise Failed(f"{len(cpu)} and {len(gpu)} losses for {steps} steps")
    apart = [abs(a - b) / max(abs(a), 0.1) for a, b in zip(cpu, gpu)]
    text = f"losses apart by {max(apart):.2e} at most (first step {apart[0]:.2e}), allowed {LOSS_TOLERANCE[precision]:g}"
    if not max(apart) <= LOSS_TOLERANCE[precision]:
        raise Failed(text)
    return text


def find_sanitizer():
    for path in (shutil.which("compute-sanitizer"), "/usr/local/cuda/bin/compute-sanitizer",
                 "/usr/local/cuda/compute-sanitizer/compute-sanitizer"):
        if path and os.path.exists(path):
            return path
    raise NotRun("there is no compute-sanitizer")


def sanitize_one(checks, program, tool, op, timeout, **more):
    """One operation's cases under a tool of compute-sanitizer; the report goes to sanitize-TOOL.log."""
    words = [program, "--tool", tool, "--error-exitcode", "9", "--print-limit", "3"]
    if tool == "memcheck":
        words += ["--leak-check", "no"]
    text, problems, code = checks.run(*words, checks.tree.program("test_ops"), "-b", checks.options.device, "-o", op, ok=None,
                                      timeout=timeout, **more)
    with open(os.path.join(checks.options.output, f"sanitize-{tool}.log"), "a", encoding="utf-8") as f:
        f.write(f"==== {op}\n{text}{problems}")
    if "Device not supported" in text + problems:
        raise NotRun("compute-sanitizer says: Device not supported")
    if code:
        said = (line for line in (text + problems).splitlines() if "=========" in line and "COMPUTE" not in line)
        raise Failed(f"{op}: exit {code}: {next(said, last_line(text))[:200]}")


def describe(checks):
    """Device, driver, libraries: from nvidia-smi and from `cohort doctor`."""
    facts = {"device": "unknown"}
    checks.deadline = time.monotonic() + 120
    smi = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total,compute_cap", "--format=csv,noheader"],
                         stdout=subprocess.PIPE, text=True, check=False).stdout if shutil.which("nvidia-smi") else ""
    if smi.strip() and not checks.options.on_doubles:
        facts["device"], facts["driver"], facts["memory"], facts["capability"] = [part.strip() for part in smi.strip().splitlines()[0].split(",")]
    try:
        answer, _, _ = checks.cohort("doctor")
        for name in ("cuda_driver", "cuda_runtime", "cublaslt", "cudnn", "nvidia_driver", "cuda_plugin", "cuda_problem"):
            if answer.get(name):
                facts[name] = answer[name]
        for device in answer.get("cuda_devices") or []:
            if device["device"] == checks.options.device:
                facts["device"], facts["capability"] = device["name"], device["compute_capability"]
                facts["memory"] = f"{device['memory_bytes'] >> 20} MiB"
        if not answer.get("cuda_usable"):
            facts["problem"] = answer.get("cuda", "no CUDA")
    except (NotRun, Failed) as reason:
        facts["problem"] = str(reason)
    if checks.options.on_doubles:
        facts["device"] = "doubles of tests/cudasim, no GPU"
    return facts
