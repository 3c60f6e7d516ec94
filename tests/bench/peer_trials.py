# SPDX-License-Identifier: Apache-2.0
"""The other side of scripts/bench_trials: one process of a search by Optuna over trainings by PyTorch, on the
columns of a Cohort dataset. Several share a study in a journal file.

usage: peer_trials.py REQUEST.json SEED"""

import json
import sys
import time

import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

from peer_tables import NETWORKS, Data, Network, Trainer
from trial_space import EPOCHS, NUMBERS, suggest


def make(data, values):
    """shopper-mlp, and what trains it, with a trial's values."""
    hidden, rate, _, *others = NETWORKS["shopper-mlp"]
    NETWORKS["trial"] = (hidden, rate, values[NUMBERS], *others)
    torch.manual_seed(1)
    trainer = Trainer("trial", Network("trial", data.train[0].shape[1:], data.tables, False), "eager")
    for group in trainer.optimizer.param_groups:
        group["lr"] = values["trainer.learning_rate"]
    trainer.optimizer.param_groups[0]["weight_decay"] = values["trainer.optimizer.weight_decay"]
    return trainer


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        request = json.load(f)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    data = Data(request["dataset"], request["weights"], True)
    begin = time.perf_counter()

    def objective(trial):
        values = suggest(trial)
        return make(data, values).fit(data.train, data.validation, EPOCHS, values["trainer.batch_size"])

    storage = JournalStorage(JournalFileBackend(request["journal"]))
    study = optuna.create_study(storage=storage, study_name="trials", load_if_exists=True, direction="minimize",
                                sampler=optuna.samplers.TPESampler(seed=int(sys.argv[2]), constant_liar=True))
    study.optimize(objective, callbacks=[MaxTrialsCallback(request["trials"], states=(TrialState.COMPLETE, TrialState.RUNNING))])
    print(json.dumps({"best": study.best_value, "seconds": time.perf_counter() - begin,
                      "trials": len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))),
                      "versions": f"Optuna {optuna.__version__}, PyTorch {torch.__version__}"}))


if __name__ == "__main__":
    main()
