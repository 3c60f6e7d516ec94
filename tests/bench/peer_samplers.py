# SPDX-License-Identifier: Apache-2.0
"""Optuna's TPE and GP samplers on the functions of bench_samplers.c: the best value after 25 and 50 trials,
seeds 0 to 9, of TPE 0 to 99, as CSV. With --at TRIALS: milliseconds of CPU, of so many random trials, for a suggestion by each
sampler and for the importances (what,function,milliseconds)."""
import math
import sys
import time
import warnings

import optuna
import torch

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
torch.set_num_threads(1)

A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
P = [
    [1312, 1696, 5569, 124, 8283, 5886],
    [2329, 4135, 8307, 3736, 1004, 9991],
    [2348, 1451, 3522, 2883, 3047, 6650],
    [4047, 8828, 8732, 5743, 1091, 381],
]
ALPHA = [1, 1.2, 3, 3.2]


def branin(t):
    x, y = t.suggest_float("x", -5, 10), t.suggest_float("y", 0, 15)
    b, c = 5.1 / (4 * math.pi**2), 5 / math.pi
    return (y - b * x * x + c * x - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def hartmann6(t):
    v = [t.suggest_float(n, 0, 1) for n in "abcdef"]
    inner = [sum(A[i][k] * (v[k] - P[i][k] * 1e-4) ** 2 for k in range(6)) for i in range(4)]
    return -sum(a * math.exp(-s) for a, s in zip(ALPHA, inner))


def rosenbrock4(t):
    v = [t.suggest_float(n, -2.048, 2.048) for n in "abcd"]
    return sum(100 * (v[i + 1] - v[i] ** 2) ** 2 + (1 - v[i]) ** 2 for i in range(3))


def conditional(t):
    kind = t.suggest_categorical("kind", ["a", "b"])
    x = (t.suggest_float("x", -1, 1) - 0.3) ** 2
    if kind == "a":
        rate, size = t.suggest_float("rate", 1e-5, 1, log=True), t.suggest_int("size", 8, 128, step=8)
        return 0.3 + x + (math.log10(rate) + 2.5) ** 2 / 4 + ((size - 40) / 60) ** 2
    depth, width = t.suggest_int("depth", 1, 8), t.suggest_float("width", 0, 1)
    return 0.1 + x + (depth - 3) ** 2 / 5 + 2 * (width - 0.7) ** 2


FUNCTIONS = (branin, hartmann6, rosenbrock4, conditional)
SAMPLERS = (("tpe", optuna.samplers.TPESampler), ("gp", optuna.samplers.GPSampler))


def timed(name, f, times, work):
    begun = time.process_time()
    for _ in range(times):
        work()
    print(f"{name},{f.__name__},{(time.process_time() - begun) / times * 1e3:.3f}", flush=True)


def at(count):
    for f in FUNCTIONS:
        done = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        done.optimize(f, n_trials=count)
        for name, make in SAMPLERS:
            study = optuna.create_study(sampler=make(seed=0))
            study.add_trials(done.trials)
            timed(name, f, 5, lambda: f(study.ask()))
        for name, evaluator in (
            ("ped_anova", optuna.importance.PedAnovaImportanceEvaluator()),
            ("fanova", optuna.importance.FanovaImportanceEvaluator(seed=0)),
        ):
            timed(name, f, 1, lambda: optuna.importance.get_param_importances(done, evaluator=evaluator))


if len(sys.argv) == 3 and sys.argv[1] == "--at":
    at(int(sys.argv[2]))
    sys.exit()
print("sampler,function,seed,at25,at50")
for name, make in SAMPLERS:
    for f in FUNCTIONS:
        for seed in range(100 if name == "tpe" else 10):
            study = optuna.create_study(sampler=make(seed=seed))
            study.optimize(f, n_trials=50)
            values = [t.value for t in study.trials]
            print(f"{name},{f.__name__},{seed},{min(values[:25]):.9g},{min(values):.9g}", flush=True)
