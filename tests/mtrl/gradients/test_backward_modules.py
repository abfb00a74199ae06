"""``mtrl.backward`` with the mean fills ``.grad`` as torch does, for kinds of modules in the table below."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import mtrl
from mtrl.aggregators import Mean
from mtrl.errors import UsageError


class Module(nn.Module):
    """Computes ``forward_with`` from the layers that it holds and its inputs."""

    def __init__(self, forward_with, **layers):
        super().__init__()
        self.forward_with = forward_with
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, inputs):
        return self.forward_with(self, inputs)


class SineWithNumPy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs):
        ctx.save_for_backward(inputs)
        return inputs.sin()

    @staticmethod
    def backward(ctx, gradient):
        return torch.from_numpy(gradient.numpy() * ctx.saved_tensors[0].detach().cos().numpy())


def tied():
    module = Module(lambda m, ids: m.read(m.embed(ids)), embed=nn.Embedding(9, 4), read=nn.Linear(4, 9))
    module.read.weight = module.embed.weight
    return module


def compiled():
    torch.compiler.reset()
    module = torch.compile(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)), backend="aot_eager")
    module(NUMBERS).sum().backward()  # from now on its buffers are used up by one pass
    return module


NUMBERS = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0))
IMAGES = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1))
IDS = torch.randint(9, (6, 5), generator=torch.Generator().manual_seed(2))
MODULES = {
    "linear": (lambda: nn.Linear(4, 3), NUMBERS),
    "convolution": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)), IMAGES),
    "channels last": (lambda: nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last), IMAGES),
    "batch norm": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), IMAGES),
    "batch norm, eval": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval(), IMAGES),
    "layer norm": (lambda: nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.GELU()), NUMBERS),
    "dropout": (lambda: nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3), nn.Linear(4, 3)), NUMBERS),
    "lstm": (lambda: Module(lambda m, x: m.lstm(x)[0], lstm=nn.LSTM(4, 3, num_layers=2)), NUMBERS),
    "gru": (lambda: Module(lambda m, x: m.gru(x)[0], gru=nn.GRU(4, 3, bidirectional=True)), NUMBERS),
    "attention": (lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1), NUMBERS),
    "embedding": (lambda: nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 3)), IDS),
    "sparse embedding": (lambda: nn.Sequential(nn.Embedding(9, 4, sparse=True), nn.Linear(4, 3)), IDS),
    "tied weights": (tied, IDS),
    "compiled": (compiled, NUMBERS),
    "function with NumPy": (
        lambda: Module(lambda m, x: SineWithNumPy.apply(m.layer(x)), layer=nn.Linear(4, 3)),
        NUMBERS,
    ),
    "mixed types": (
        lambda: Module(
            lambda m, x: m.narrow(m.wide(x).bfloat16()),
            wide=nn.Linear(4, 4),
            narrow=nn.Linear(4, 3).bfloat16(),
        ),
        NUMBERS,
    ),
    "complex": (
        lambda: Module(lambda m, x: (m.w * x).abs(), w=nn.Parameter(torch.randn(4, dtype=torch.cfloat))),
        NUMBERS,
    ),
    "used twice": (lambda: Module(lambda m, x: m.layer(m.layer(x).tanh()), layer=nn.Linear(4, 4)), NUMBERS),
    "checkpointed": (
        lambda: Module(
            lambda m, x: checkpoint(m.part, x, use_reentrant=False),
            part=nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3), nn.Linear(4, 3)),
        ),
        NUMBERS,
    ),
    "unused parameter": (
        lambda: Module(lambda m, x: m.used(x), used=nn.Linear(4, 3), idle=nn.Linear(2, 2)),
        NUMBERS,
    ),
    "no dimension": (lambda: Module(lambda m, x: m.w * x, w=nn.Parameter(torch.tensor(0.5))), NUMBERS),
}


def losses_of(module, inputs):
    torch.manual_seed(0)  # of dropout
    outputs = module(inputs).flatten().float()
    return torch.stack([(task + 1) * (outputs[task::3] - task).square().mean() for task in range(3)])


@pytest.mark.parametrize("batched", [None, False], ids=["batched", "loop"])
@pytest.mark.parametrize("kind", MODULES)
def test_gradients_are_those_of_torch(kind, batched):
    torch.manual_seed(0)
    make, inputs = MODULES[kind]
    module = make()
    module.zero_grad()
    losses_of(module, inputs).mean().backward()
    expected = [parameter.grad for parameter in module.parameters()]
    module.zero_grad()
    mtrl.backward(losses_of(module, inputs), module.parameters(), Mean(3), batched=batched)
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if kind == "mixed types" else {"rtol": 1e-4, "atol": 1e-6}
    for parameter, right in zip(module.parameters(), expected, strict=True):
        wanted = torch.zeros_like(parameter) if right is None else right
        assert parameter.grad.layout == wanted.layout
        assert parameter.grad.stride() == wanted.stride() if not wanted.is_sparse else True
        torch.testing.assert_close(parameter.grad.to_dense(), wanted.to_dense(), **tolerance)


def test_what_cannot_be_batched_is_an_error_if_that_was_asked_for():
    make, inputs = MODULES["sparse embedding"]
    module = make()
    with pytest.raises(RuntimeError):
        mtrl.backward(losses_of(module, inputs), module.parameters(), Mean(3), batched=True)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_reentrant_checkpoint_is_refused():
    layer = nn.Linear(4, 4)
    head = nn.Linear(4, 3)
    features = checkpoint(layer, NUMBERS.clone().requires_grad_(), use_reentrant=True)
    with pytest.raises(UsageError, match="reentrant checkpoint, which hides its parameters"):
        mtrl.backward(head(features).mean((0, 1)), [*layer.parameters(), *head.parameters()], Mean(3))


@pytest.fixture
def process_group(tmp_path):
    distributed = torch.distributed
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("find_unused", [False, True])
def test_data_parallel_processes_exchange_the_aggregated_gradient(process_group, find_unused):
    def twice(_, bucket):
        done = torch.futures.Future()
        done.set_result(2 * bucket.buffer())
        return done

    layer = nn.Linear(4, 3)
    parallel = nn.parallel.DistributedDataParallel(layer, find_unused_parameters=find_unused)
    parallel.register_comm_hook(None, twice)
    for _ in range(2):
        layer.zero_grad()
        direction = mtrl.backward(losses_of(parallel, NUMBERS), layer.parameters(), Mean(3))
        torch.testing.assert_close(layer.bias.grad, 2 * direction.vector[-3:])


def test_data_parallel_processes_that_count_passes_are_refused(process_group):
    parallel = nn.parallel.DistributedDataParallel(nn.Linear(4, 3), static_graph=True)
    with pytest.raises(UsageError, match="static_graph=True"):
        mtrl.backward(losses_of(parallel, NUMBERS), parallel.parameters(), Mean(3))
