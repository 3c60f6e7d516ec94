# SPDX-License-Identifier: Apache-2.0
"""The other side of scripts/bench_cpu: PyTorch trains and scores the same networks on the same data.

Answers requests, a JSON object a line on standard input, one by one; between two it sleeps, so that
it does not disturb what is measured in the meantime. The data are tensors in memory from the start.
"""

import time

START = time.perf_counter()

import argparse
import gzip
import json
import os
import sys

import numpy as np
import torch
from torch import nn

IMPORTED = time.perf_counter()


def load(folder, name, header):
    with gzip.open(os.path.join(folder, name + ".gz"), "rb") as f:
        return np.frombuffer(f.read(), dtype=np.uint8, offset=header)


def network(model):
    if model == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128),
                             nn.ReLU(), nn.Linear(128, 10))
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))


class Contender:
    """One network under one choice of settings."""

    def __init__(self, x, y, model, batch, layout, mode):
        torch.manual_seed(1)
        self.net = network(model)
        self.x, self.y, self.batch = x, y, batch
        if layout == "channels_last":
            self.net = self.net.to(memory_format=torch.channels_last)
            self.x = x.contiguous(memory_format=torch.channels_last)
        settings = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}
        try:
            self.optimizer = torch.optim.Adam(self.net.parameters(), fused=True, **settings)
            self.adam = "fused"
        except (RuntimeError, TypeError):
            self.optimizer = torch.optim.Adam(self.net.parameters(), **settings)
            self.adam = "default"
        loss = nn.CrossEntropyLoss()
        self.forward = lambda x, y: loss(self.net(x), y)
        self.score = lambda x: torch.softmax(self.net(x), 1)
        if mode == "compile":
            self.forward = torch.compile(self.forward)
            self.score = torch.compile(self.score)
        self.order, self.at = torch.randperm(len(y)), 0
        self.losses = []

    def step(self):
        if self.at + self.batch > len(self.y):
            self.order, self.at = torch.randperm(len(self.y)), 0
        rows = self.order[self.at:self.at + self.batch]
        self.at += self.batch
        loss = self.forward(self.x[rows], self.y[rows])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def train(self, seconds):
        self.net.train()
        self.losses = []
        begin = time.perf_counter()
        while True:
            self.step()
            passed = time.perf_counter() - begin
            if passed >= seconds:
                return {"rate": len(self.losses) / passed,
                        "loss": float(np.mean(self.losses[-50:]))}

    def predict(self, seconds, batch=256):
        self.net.eval()
        rows = len(self.y) // batch * batch
        done, begin = 0, time.perf_counter()
        with torch.inference_mode():
            while True:
                at = done % rows
                self.score(self.x[at:at + batch]).numpy()
                done += batch
                passed = time.perf_counter() - begin
                if passed >= seconds:
                    return {"rate": done / passed}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--first-step", action="store_true", help="one step of the CNN, then end")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pixels = load(options.data, "train-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)
    x = torch.from_numpy(pixels.astype(np.float32) / 255)
    y = torch.from_numpy(load(options.data, "train-labels-idx1-ubyte", 8).astype(np.int64))
    if options.first_step:
        Contender(x, y, "cnn", 128, "nchw", "eager").step()
        print(json.dumps({"import": IMPORTED - START, "first": time.perf_counter() - START}))
        return
    contenders = {}
    print(json.dumps({"torch": torch.__version__, "python": sys.version.split()[0]}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        key = (request["model"], request["batch"], request["layout"], request["mode"])
        try:
            if key not in contenders:
                contenders[key] = Contender(x, y, *key)
            contender = contenders[key]
            action = contender.train if request["do"] == "train" else contender.predict
            answer = action(request["seconds"])
            answer["adam"] = contender.adam
        except Exception as error:  # a setting that does not work here is no contender
            answer = {"error": f"{type(error).__name__}: {error}".split("\n")[0][:200]}
        print(json.dumps(answer), flush=True)


main()
