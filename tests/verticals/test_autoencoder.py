# SPDX-License-Identifier: Apache-2.0
"""An autoencoder over images of products: dense, 32 codes; its target is its own input."""
import vertical  # first: it says where there is no numpy
from vertical import need

import numpy as np

import data

PCA_MSE = 0.01514  # of as many principal components; baselines.py
SOME = 300  # test images whose reconstructions are looked at


def check_scores(v, run, test):
    pixels = test[:SOME]
    data.write_images("some.h5", pixels, np.full(SOME, data.TEST))
    columns = [f"reconstruction_{i}" for i in range(784)]
    whole = v.predict(run, "some.h5")
    back = np.array([[float(whole[str(i)][c]) for c in columns] for i in range(SOME)])
    mse = np.mean((back - pixels.reshape(SOME, 784) / 255)**2)
    said = v.evaluate(run, dataset="some.h5")["mse"]
    need(abs(said - mse) < 1e-6, f"evaluate says {said}, of the scores it is {mse}")
    for size in ("1", "37"):
        vertical.agree(whole, v.predict(run, "some.h5", "--batch-size", size), columns,
                       f"batches of {size}")


def on_cpu(v):
    train, test = data.images("train"), data.images("t10k")
    splits = np.concatenate([np.where(data.split(range(len(train))) == data.VALIDATION,
                                      data.VALIDATION, data.TRAIN), np.full(len(test), data.TEST)])
    data.write_images("d.h5", np.concatenate([train, test]), splits)
    v.train("run")
    mse = v.evaluate("run", "--require", f"mse<{PCA_MSE}")["mse"]
    print(f"mse {mse:.5f}, less than {PCA_MSE} wanted")
    kernel = vertical.weights("run", "combiner/code/kernel")
    need(kernel.shape == (256, 32), f"codes: {kernel.shape}")
    check_scores(v, "run", test)
    data.write_images("d.h5", train[:3000], data.split(range(3000)))
    vertical.check_exact(v, "--trainer.max_epochs", "2")


def on_device(v):
    data.write_images("d.h5", data.images("t10k")[:240], data.split(range(240)))
    vertical.check_device(v, "--trainer.batch_size", "8")


with vertical.Vertical("autoencoder", data.path("fashion_mnist", "train-images-idx3-ubyte.gz"),
                       data.path("fashion_mnist", "t10k-images-idx3-ubyte.gz")) as vert:
    (on_device if vert.device == "cuda" else on_cpu)(vert)
print("all passed")
