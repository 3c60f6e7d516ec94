# SPDX-License-Identifier: Apache-2.0
"""The other side of scripts/bench_cpu and scripts/bench_gpu: PyTorch trains and scores the same
networks on the same data sets, from the weights that Cohort began with.

Answers requests, a JSON object a line on standard input, one by one; between two it sleeps, so that
it does not disturb what is measured in the meantime. A request's "do" names a function below."""

import time

START = time.perf_counter()

import argparse
import ctypes
import json
import sys

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional

IMPORTED = time.perf_counter()


# ---- networks ------------------------------------------------------------------------------------
# Modules with weights are registered in the order of Cohort's layers; `load` relies on it.

def dense(inputs, *sizes):
    layers = []
    for i, size in enumerate(sizes):
        layers += [nn.ReLU()] * (i > 0) + [nn.Linear(inputs, size)]
        inputs = size
    return layers


def norm(channels, momentum=0.99, epsilon=1e-3):  # the defaults are Keras'
    return nn.BatchNorm2d(channels, eps=epsilon, momentum=1 - momentum)


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride, project):
        super().__init__()
        self.a, self.a_norm = nn.Conv2d(inputs, width, 1, bias=False), norm(width, 0.9, 1e-5)
        self.b = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.b_norm = norm(width, 0.9, 1e-5)
        self.c, self.c_norm = nn.Conv2d(width, 4 * width, 1, bias=False), norm(4 * width, 0.9, 1e-5)
        self.project = project
        if project:
            self.d = nn.Conv2d(inputs, 4 * width, 1, stride, bias=False)
            self.d_norm = norm(4 * width, 0.9, 1e-5)

    def forward(self, x):
        y = functional.relu(self.a_norm(self.a(x)))
        y = functional.relu(self.b_norm(self.b(y)))
        y = self.c_norm(self.c(y))
        return functional.relu(y + (self.d_norm(self.d(x)) if self.project else x))


def resnet50(channels, classes):
    layers = [nn.Conv2d(channels, 64, 7, 2, 3, bias=False), norm(64, 0.9, 1e-5), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(blocks):
            layers.append(Bottleneck(inputs, width, 2 if stage and not block else 1, block == 0))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


class Basic(nn.Module):
    """A residual block of models/presets/product-resnet.yaml."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.a, self.a_norm = nn.Conv2d(inputs, width, 3, stride, 1, bias=False), norm(width)
        self.b, self.b_norm = nn.Conv2d(width, width, 3, 1, 1, bias=False), norm(width)
        self.project = stride > 1
        if self.project:
            self.d, self.d_norm = nn.Conv2d(inputs, width, 1, stride, bias=False), norm(width)

    def forward(self, x):
        y = functional.relu(self.a_norm(self.a(x)))
        return functional.relu(self.b_norm(self.b(y)) + (self.d_norm(self.d(x)) if self.project else x))


def product_resnet(channels, classes):
    layers, inputs = [nn.Conv2d(channels, 16, 3, padding=1, bias=False), norm(16), nn.ReLU()], 16
    for width in (16, 32, 64, 128):
        layers += [Basic(inputs, width, 1 if width == inputs else 2), Basic(width, width, 1)]
        inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def depthwise(channels, classes):
    layers, inputs = [nn.Conv2d(channels, 32, 3, 2, 1, bias=False), norm(32), nn.ReLU()], 32
    for width, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        layers += [nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False), norm(inputs), nn.ReLU(),
                   nn.Conv2d(inputs, width, 1, bias=False), norm(width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


class ChannelsFirst(nn.Module):
    """Features as an image: they lie as (height, width, channels)."""

    def __init__(self, height, width, channels):
        super().__init__()
        self.shape = (height, width, channels)

    def forward(self, x):
        return x.unflatten(1, self.shape).permute(0, 3, 1, 2)


def conv_autoencoder(shape):
    channels, height, width = shape
    height, width = height // 4, width // 4
    return nn.Sequential(nn.Conv2d(channels, 32, 3, padding=1, bias=False), norm(32), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1, bias=False), norm(64), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(64 * height * width, 256), nn.ReLU(), nn.Linear(256, 64),
                         nn.Linear(64, 64 * height * width), nn.ReLU(), ChannelsFirst(height, width, 64),
                         nn.Upsample(scale_factor=2), nn.Conv2d(64, 64, 3, padding=1, bias=False), norm(64), nn.ReLU(),
                         nn.Upsample(scale_factor=2), nn.Conv2d(64, 32, 3, padding=1, bias=False), norm(32), nn.ReLU(),
                         nn.Conv2d(32, channels, 3, padding=1), nn.Sigmoid())


def dense_autoencoder(shape):
    pixels = int(np.prod(shape))
    return nn.Sequential(nn.Flatten(), *dense(pixels, 512, 256), nn.ReLU(), nn.Linear(256, 64), *dense(64, 256, 512, pixels),
                         nn.Sigmoid(), ChannelsFirst(*shape[1:], shape[0]))


def product_cnn(shape, classes, dropout):
    layers, channels, height, width = [], *shape
    for filters in (32, 64, 128):
        layers += [nn.Conv2d(channels, filters, 3, padding=1, bias=False), norm(filters), nn.ReLU(), nn.MaxPool2d(2)]
        channels, height, width = filters, height // 2, width // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, 128), nn.ReLU(),
                         nn.Dropout(dropout), nn.Linear(128, classes))


RECONSTRUCTIONS = ("conv-autoencoder", "dense-autoencoder")


def network(model, shape, outputs, plain):
    """`plain` leaves out what is random in training."""
    pixels = int(np.prod(shape))
    if model == "mlp":
        return nn.Sequential(nn.Flatten(), *dense(pixels, 256, 128, outputs))
    if model == "wide":
        return nn.Sequential(nn.Flatten(), *dense(pixels, 4096, 4096, 4096, outputs))
    if model == "autoencoder":
        return nn.Sequential(*dense(pixels, 512, 128, 512, outputs))
    if model == "product-cnn":
        return product_cnn(shape, outputs, 0.0 if plain else 0.3)
    if model == "resnet50":
        return resnet50(shape[0], outputs)
    if model == "product-resnet":
        return product_resnet(shape[0], outputs)
    if model == "depthwise":
        return depthwise(shape[0], outputs)
    if model == "conv-autoencoder":
        return conv_autoencoder(shape)
    if model == "dense-autoencoder":
        return dense_autoencoder(shape)
    if model != "cnn":
        raise ValueError(f"no network {model}")
    channels, height, width = shape
    return nn.Sequential(nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(64 * (height // 4) * (width // 4), 128), nn.ReLU(), nn.Linear(128, outputs))


def optimizer_for(model, parameters, capturable):
    parameters = list(parameters)
    if model == "resnet50":
        return torch.optim.SGD(parameters, lr=1e-2, momentum=0.9, fused=True), "fused SGD"
    settings = {"lr": 1e-4 if model == "wide" else 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}
    kind = torch.optim.Adam
    if model == "product-cnn":  # the losses are compared before the schedule has moved: see bench_gpu
        kind, settings = torch.optim.AdamW, {**settings, "lr": 2e-3, "weight_decay": 0.01}
        kernels = [p for p in parameters if p.dim() > 1]
        others = [p for p in parameters if p.dim() <= 1]
        parameters = [{"params": kernels}, {"params": others, "weight_decay": 0.0}]
    if capturable:
        settings["capturable"] = True
    try:
        return kind(parameters, fused=True, **settings), f"fused {kind.__name__}"
    except (RuntimeError, TypeError):
        return kind(parameters, **settings), kind.__name__


def load(net, weights, shape):
    """Weights of a model.h5 into a network. Kernels lie as (height, width, in, out) and (in, out), and
    a flattened image as (height, width, channels)."""
    with h5py.File(weights, "r") as f:
        group = f["model_weights"]
        layers = [name if isinstance(name, str) else name.decode() for name in group.attrs["layer_names"]]
        modules = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.BatchNorm2d))]
        if len(layers) != len(modules):
            raise ValueError(f"{len(layers)} layers with weights, the network here has {len(modules)}")
        channels = shape[0] if len(shape) == 3 else None
        for name, module in zip(layers, modules):
            values = {key: torch.from_numpy(np.array(value)) for key, value in group[name].items()}
            if isinstance(module, nn.BatchNorm2d):
                pairs = [(module.weight, values["gamma"]), (module.bias, values["beta"])]
            elif isinstance(module, nn.Conv2d) and module.groups > 1:
                pairs = [(module.weight, values["kernel"].permute(2, 3, 0, 1).flatten(0, 1).unsqueeze(1))]
            elif isinstance(module, nn.Conv2d):
                pairs = [(module.weight, values["kernel"].permute(3, 2, 0, 1))]
                channels = module.out_channels
            else:
                kernel = values["kernel"]
                if channels and kernel.shape[0] % channels == 0:
                    kernel = kernel.reshape(-1, channels, kernel.shape[1]).permute(1, 0, 2).reshape(kernel.shape)
                channels = None
                pairs = [(module.weight, kernel.T)]
            if not isinstance(module, nn.BatchNorm2d) and module.bias is not None:
                pairs.append((module.bias, values["bias"]))
            for parameter, value in pairs:
                if parameter.shape != value.shape:
                    raise ValueError(f"{name}: {tuple(value.shape)}, here {tuple(parameter.shape)}")
                with torch.no_grad():
                    parameter.copy_(value)
        fitted = f["cohort/preprocessing"]
        first = fitted[next(iter(fitted))] if len(fitted) else {}
        if "mean" not in first:
            return 0.0, 1.0
        return [torch.from_numpy(np.array(first[key], dtype=np.float32)).reshape(1, -1, 1, 1) for key in ("mean", "scale")]


# ---- data ----------------------------------------------------------------------------------------

class Data:
    """The training rows of a data set, as tensors in the host's memory."""

    def __init__(self, path):
        with h5py.File(path, "r") as f:
            table = next(iter(f["entities"].values()))
            rows = np.flatnonzero(f["samples/split"][:] == 0) if "samples/split" in f else slice(None)
            self.classes = None
            for column in table.values():
                role, kind = (str(column.attrs[key]) if isinstance(column.attrs[key], str)
                              else column.attrs[key].decode() for key in ("role", "type"))
                values = column["codes"] if kind == "category" else column
                values = torch.from_numpy(values[:][rows])
                if role == "input":
                    self.x = values.permute(0, 3, 1, 2).contiguous() if kind == "image" else values
                elif role == "target":
                    self.y = values.long() if kind == "category" else values.float()
                    self.classes = len(column["categories"]) if kind == "category" else None
        self.shape = tuple(self.x.shape[1:])
        self.outputs = self.classes or self.y.shape[1]


def write_dataset(path, columns, rows, test):
    with h5py.File(path, "w") as f:
        f.attrs["format"], f.attrs["version"] = "cohort-dataset", 1
        table = f.create_group("entities/rows", track_order=True)
        for name, (kind, role, values) in columns.items():
            if kind == "category":
                column = table.create_group(name)
                column["codes"] = values.astype(np.int32)
                column["categories"] = [f"class {i}" for i in range(10)]
            else:
                column = table.create_dataset(name, data=values)
            column.attrs["type"], column.attrs["role"] = kind, role
        split = np.zeros(rows, dtype=np.int8)
        if test:
            split[-test:] = 2
        f["samples/split"] = split


def make(request):
    """Random rows (zeros compute faster than real data), reproducible; the last `test` are for scoring."""
    rng = np.random.default_rng(request.get("seed", 1))
    rows, side, channels = request["rows"], request.get("side"), request.get("channels", 1)
    if side:
        columns = {"image": ("image", "input", rng.integers(0, 256, (rows, side, side, channels), dtype=np.uint8)),
                   "label": ("category", "target", rng.integers(0, 10, rows))}
    else:
        values = rng.random((rows, request["width"]), dtype=np.float32)
        columns = {"pixels": ("vector", "input", values), "copy": ("vector", "target", values)}
    write_dataset(request["path"], columns, rows, request.get("test", 0))
    return {"rows": rows}


def subset(request):
    """The first training rows of an image data set as one of their own."""
    with h5py.File(request["source"], "r") as f:
        table = next(iter(f["entities"].values()))
        image = next(c for c in table.values() if not isinstance(c, h5py.Group))
        label = next(c for c in table.values() if isinstance(c, h5py.Group))
        rows = np.flatnonzero(f["samples/split"][:] == 0)[:request["rows"]]
        images, labels, names = image[:][rows], label["codes"][:][rows], (image.name, label.name)
    names = [name.rsplit("/", 1)[1] for name in names]
    write_dataset(request["path"], {names[0]: ("image", "input", images), names[1]: ("category", "target", labels)},
                  len(rows), 0)
    return {"rows": len(rows)}


# ---- contenders ----------------------------------------------------------------------------------

class Contender:
    """One network under one choice of settings."""

    def __init__(self, data, request, device, precision):
        self.data, self.device, self.precision = data, device, precision
        self.batch, self.mode = request["batch"], request.get("mode", "eager")
        self.model, self.plain = request["model"], request.get("plain", False)
        self.resident = request.get("placement", "device") == "device"
        self.cuda = device.type == "cuda"
        torch.manual_seed(1)
        self.net = network(self.model, data.shape, data.outputs, self.plain)
        mean, scale = 0.0, 1.0 / 255 if data.x.dtype == torch.uint8 else 1.0
        if request.get("weights"):
            mean, scale = load(self.net, request["weights"], data.shape)
            if len(data.shape) != 3:
                mean, scale = 0.0, 1.0  # vectors come as they are
        self.last = request.get("layout") == "channels_last"
        self.net = self.net.to(device)
        if self.last:
            self.net = self.net.to(memory_format=torch.channels_last)
        self.mean, self.scale = (value.to(device) if torch.is_tensor(value) else value for value in (mean, scale))
        capturable = self.mode == "cudagraphs"
        self.optimizer, self.kind = optimizer_for(self.model, self.net.parameters(), capturable)
        self.forward, self.score = self.loss, self.predict_batch
        if self.mode in ("compile", "max-autotune", "freeze"):  # freezing folds and packs weights: for scoring alone
            options = {"compile": {}, "max-autotune": {"mode": "max-autotune"}, "freeze": {"options": {"freezing": True}}}[self.mode]
            self.forward, self.score = torch.compile(self.loss, **options), torch.compile(self.predict_batch, **options)
        if self.resident:  # ready to compute with: nothing is left to do but to pick rows
            self.x, self.y = self.prepare(data.x.to(device)), data.y.to(device)
        else:
            self.x, self.y = (value.pin_memory() if self.cuda else value for value in (data.x, data.y))
        self.rows = len(self.y)
        self.order, self.at, self.steps, self.graph = None, self.rows, 1, None

    def prepare(self, x):
        x = (x.float() - self.mean) * self.scale
        return x.contiguous(memory_format=torch.channels_last) if self.last else x

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def loss(self, x, y):
        if self.model == "product-cnn" and not self.plain:
            mirrored = torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5
            x = torch.where(mirrored, x.flip(3), x)
        with self.autocast():
            z = self.net(x)
        if self.model in RECONSTRUCTIONS:
            return functional.mse_loss(z.float(), x)
        if self.data.classes:
            return functional.cross_entropy(z.float(), y)
        return functional.mse_loss(z.float(), y)

    def predict_batch(self, x):
        with self.autocast():
            z = self.net(x)
        return torch.softmax(z.float(), 1) if self.data.classes and self.model not in RECONSTRUCTIONS else z.float()

    def next_rows(self):
        if self.at + self.batch > self.rows:
            self.order = torch.randperm(self.rows, device=self.device if self.resident else "cpu")
            self.at = 0
        rows = self.order[self.at:self.at + self.batch]
        self.at += self.batch
        if self.resident:
            return self.x[rows], self.y[rows]
        x, y = self.x[rows], self.y[rows]
        if self.cuda:
            x, y = x.pin_memory(), y.pin_memory()
        return self.prepare(x.to(self.device, non_blocking=True)), y.to(self.device, non_blocking=True)

    def update(self, x, y):
        loss = self.forward(x, y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def record(self, x, y):
        """The whole step as one CUDA graph, after a few on a side stream."""
        self.inputs = (x.clone(), y.clone())
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.update(*self.inputs)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self.recorded_loss = self.update(*self.inputs)

    def step(self):
        x, y = self.next_rows()
        if self.mode != "cudagraphs":
            return self.update(x, y)
        if self.graph is None:
            self.record(x, y)
        self.inputs[0].copy_(x)
        self.inputs[1].copy_(y)
        self.graph.replay()
        return self.recorded_loss

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def chunk(self, seconds, work):
        """Calls of `work` a second, and processor seconds of one; their number grows until they take that long."""
        while True:
            self.wait()
            begin, used = time.perf_counter(), time.process_time()
            for _ in range(self.steps):
                last = work()
            self.wait()
            passed, used = time.perf_counter() - begin, time.process_time() - used
            if passed >= seconds:
                return self.steps / passed, used / self.steps, last
            self.steps = max(self.steps + 1, min(10 * self.steps, round(1.1 * self.steps * seconds / max(passed, 1e-6))))


def losses(contender, request):
    """Of the first steps, each on all rows, so that their order does not matter."""
    contender.net.train()
    for group in contender.optimizer.param_groups:
        group["lr"] = request.get("learning_rate") or group["lr"]
    values = []
    for _ in range(request["steps"]):
        values.append(contender.update(contender.prepare(contender.data.x.to(contender.device)), contender.y).item())
    return {"losses": values}


def train(contender, request):
    contender.net.train()
    rate, cpu, loss = contender.chunk(request["seconds"], contender.step)
    return {"rate": rate, "cpu": cpu, "loss": loss.item()}


def predict(contender, request):
    contender.net.eval()
    position = [0]

    def one():
        at = position[0] if position[0] + contender.batch <= contender.rows else 0
        position[0] = at + contender.batch
        x = contender.x[at:at + contender.batch]
        if not contender.resident:
            x = contender.prepare(x.to(contender.device, non_blocking=True))
        return contender.score(x).to("cpu")

    with torch.inference_mode():
        rate, cpu, _ = contender.chunk(request["seconds"], one)
    return {"rate": rate * contender.batch, "cpu": cpu / contender.batch}


def launches(contender, request):
    """Kernels, copies and fills a step, as the profiler sees them."""
    if not contender.cuda:
        return {"launches": None}
    contender.net.train()
    for _ in range(3):
        contender.step()
    contender.wait()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(request.get("steps", 5)):
            contender.step()
        contender.wait()
    count = sum(event.device_type == torch.autograd.DeviceType.CUDA for event in profile.events())
    return {"launches": count / request.get("steps", 5)}


def ceilings(device, request):
    """What a large product reaches in each arithmetic, in FLOP/s, and a large copy in bytes/s."""
    cuda = device.type == "cuda"
    size, answer = request.get("size") or (8192 if cuda else 1024), {"matmul": {}}

    def best(work, cost):
        rates = []
        for turn in range(12):
            if cuda:
                torch.cuda.synchronize()
            begin = time.perf_counter()
            work()
            if cuda:
                torch.cuda.synchronize()
            if turn > 1:
                rates.append(cost / (time.perf_counter() - begin))
        return float(np.median(rates))

    before = torch.get_float32_matmul_precision()
    for name in ("32", "tf32", "bf16") if cuda else ("32",):
        torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
        kind = torch.bfloat16 if name == "bf16" else torch.float32
        a, b = (torch.randn(size, size, device=device, dtype=torch.float32).to(kind) for _ in range(2))
        out = torch.empty(size, size, device=device, dtype=kind)
        answer["matmul"][name] = best(lambda: torch.mm(a, b, out=out), 2 * size ** 3)
    torch.set_float32_matmul_precision(before)
    count = (1 << 30 if cuda else 1 << 26) // 4
    source, target = torch.randn(count, device=device), torch.empty(count, device=device)
    answer["copy"] = best(lambda: target.copy_(source), 8 * count)  # read and written
    return answer


def cublas_version():
    """Of the cuBLASLt that PyTorch has loaded, which may be another than Cohort's."""
    with open("/proc/self/maps", encoding="utf-8") as f:
        paths = sorted({line.split()[-1] for line in f if "libcublasLt.so" in line})
    if not paths:
        return None
    ask = ctypes.CDLL(paths[0]).cublasLtGetVersion
    ask.restype = ctypes.c_size_t
    version = ask()
    return f"{version // 10000}.{version // 100 % 100}.{version % 100}"


# ---- the server ----------------------------------------------------------------------------------

ACTIONS = {"losses": losses, "train": train, "predict": predict, "launches": launches}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="32", choices=("32", "tf32", "bf16"))
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--first-step", help="a request for `train`: one step of it, then end")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("high" if options.precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = options.precision != "32"
    torch.backends.cudnn.benchmark = True
    device = torch.device(options.device)
    data, contenders = {}, {}

    def contender_for(request):
        if request["data"] not in data:
            data[request["data"]] = Data(request["data"])
        key = json.dumps([request.get(name) for name in ("model", "data", "batch", "layout", "mode", "placement", "weights", "plain", "precision")])
        if key not in contenders or request.get("fresh"):
            contenders[key] = Contender(data[request["data"]], request, device, request.get("precision", options.precision))
        return contenders[key]

    if options.first_step:
        contender = contender_for(json.loads(options.first_step))
        contender.step()
        contender.wait()
        print(json.dumps({"import": IMPORTED - START, "first": time.perf_counter() - START}))
        return
    print(json.dumps({"torch": torch.__version__, "python": sys.version.split()[0],
                      "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
                      "cuda": torch.version.cuda if device.type == "cuda" else None,
                      "cublas": cublas_version() if device.type == "cuda" else None,
                      "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "forget":
                contenders.clear()
                data.clear()
                torch.compiler.reset()
                if device.type == "cuda":
                    torch.cuda.empty_cache()
                answer = {}
            elif request["do"] == "make":
                answer = make(request)
            elif request["do"] == "subset":
                answer = subset(request)
            elif request["do"] == "ceilings":
                answer = ceilings(device, request)
            else:
                contender = contender_for(request)
                answer = ACTIONS[request["do"]](contender, request)
                answer["optimizer"] = contender.kind
        except Exception as error:  # a setting that does not work here is no contender
            answer = {"error": f"{type(error).__name__}: {error}".split("\n")[0][:200]}
        print(json.dumps(answer), flush=True)


main()
