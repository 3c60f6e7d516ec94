# SPDX-License-Identifier: Apache-2.0
"""What scripts/bench_trials searches, as Cohort's config and as Optuna's trials have it."""

EPOCHS = 5
NUMBERS = "defaults.number.encoder.embedding_size"
SPACE = {"trainer.learning_rate": {"space": "loguniform", "lower": 1e-4, "upper": 1e-2},
         "trainer.optimizer.weight_decay": {"space": "loguniform", "lower": 1e-4, "upper": 1e-1},
         "trainer.batch_size": {"space": "choice", "categories": [128, 256, 512]},
         NUMBERS: {"space": "int", "lower": 4, "upper": 16}}


def suggest(trial):
    values = {}
    for key, how in SPACE.items():
        if how["space"] == "choice":
            values[key] = trial.suggest_categorical(key, how["categories"])
        elif how["space"] == "int":
            values[key] = trial.suggest_int(key, how["lower"], how["upper"])
        else:
            values[key] = trial.suggest_float(key, how["lower"], how["upper"], log=True)
    return values
