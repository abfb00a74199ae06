"""Makes an agent's update as a plain JAX program, to time beside ours:  benchmark.py update --xla.

The program is what someone would write who needs the mean of the tasks' losses and nothing else: one backward
pass of the average, under ``jax.jit`` with donated buffers. K tasks, B samples, O observations, A actions.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from mtrl.agents.distributions import LOG_STD_MAX, LOG_STD_MIN
from mtrl.agents.sac import SAC
from mtrl.agents.values import ScalarValue
from mtrl.errors import UsageError, require
from mtrl.gradients.flat_module import FlatModule
from mtrl.types import Transition

XlaPrecision = Literal["default", "float32"]
PRECISIONS = get_args(XlaPrecision)
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's, as PyTorch's are unless told otherwise

Network = list[tuple[Any, Any]]  # of each layer the weight [in, out] and the bias [out]


class State(NamedTuple):
    """Holds all that an update changes; a pytree of JAX arrays."""

    actor: Network
    critics: tuple[Network, Network]
    targets: tuple[Network, Network]
    log_alpha: Any  # [K]
    moments: Any  # Adam's first and second, of (actor, critics, log_alpha)
    steps: Any  # updates made


class Batch(NamedTuple):
    """Holds the transitions of an update, [K, B, ...]."""

    obs: Any
    action: Any
    reward: Any
    next_obs: Any
    terminated: Any  # 0 or 1


class XlaUpdate:
    """Updates a copy of an agent's parameters by XLA, on the agent's kind of device.

    Args:
        agent: a plain SAC: one-hot task ids, ReLU layers that all tasks share, scalar values, Adam.
        batch: what every update learns from.
        precision: of products: "default" is XLA's choice, TF32 on recent GPUs; "float32".
    """

    def __init__(self, agent: SAC, batch: Transition, precision: XlaPrecision) -> None:
        require(_is_plain(agent), "--xla needs a plain SAC with a OneHotMLP, as agent=sac without options is")
        on_cuda = batch.obs.device.type == "cuda"
        jax = import_jax(on_cuda)
        self.device = _device(jax, on_cuda)
        self.state: State = jax.device_put(_state(agent), self.device)
        self.batch: Batch = jax.device_put(_batch(batch), self.device)
        self._key = jax.device_put(jax.random.key(0), self.device)
        program = _program(jax, agent, precision)

        def drawing(state: State, batch: Batch, key: Any) -> tuple[State, dict[str, Any], Any]:
            key, *keys = jax.random.split(key, 3)
            noise = [jax.random.normal(one, batch.action.shape) for one in keys]
            return *program(state, batch, *noise), key

        self._drawing = jax.jit(drawing, donate_argnums=0)
        self._given = jax.jit(program, donate_argnums=0)
        self._wait = jax.block_until_ready

    def __call__(self) -> dict[str, Any]:
        """Update with noise of its own, and wait for the end."""
        metrics = self.begin()
        self.wait()
        return metrics

    def wait(self) -> None:
        """Wait for all updates that were begun."""
        self._wait(self.state)

    def begin(self) -> dict[str, Any]:
        """Update with noise of its own, without waiting for the device."""
        self.state, metrics, self._key = self._drawing(self.state, self.batch, self._key)
        return metrics

    def with_noise(self, next_noise: Tensor, noise: Tensor) -> dict[str, Any]:
        """Update with the policy's standard normal noise [K, B, A] after ``next_obs`` and after ``obs``."""
        given = (next_noise.cpu().numpy(), noise.cpu().numpy())
        self.state, metrics = self._given(self.state, self.batch, *given)
        return metrics


def import_jax(on_cuda: bool) -> Any:
    """Import JAX so that it leaves room for PyTorch and uses as many threads as PyTorch.

    The variables that say so are read when JAX is imported, or opens a device: set before, they stay.

    Raises:
        UsageError: if it is not installed.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if not on_cuda:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        os.environ.setdefault("PJRT_NPROC", str(torch.get_num_threads()))
        if torch.get_num_threads() == 1:
            os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    try:
        import jax
    except ImportError as error:
        raise UsageError("--xla needs JAX: pip install 'mtrl-torch[xla]', or on a GPU jax[cuda13]") from error
    return jax


def describe_xla(update: XlaUpdate, precision: XlaPrecision) -> str:
    """Say which JAX ran where, and in what precision it multiplied."""
    import jax

    kind = update.device.device_kind
    rounding = " (TF32 on recent GPUs)" if precision == "default" and update.device.platform == "gpu" else ""
    threads = "" if update.device.platform == "gpu" else f", {os.environ.get('PJRT_NPROC', 'all')} thread(s)"
    return f"JAX {jax.__version__} on {kind}{threads}, matmul precision {precision}{rounding}"


def _device(jax: Any, on_cuda: bool) -> Any:
    try:
        return jax.devices("gpu" if on_cuda else "cpu")[0]
    except RuntimeError as error:
        raise UsageError(
            "--xla: PyTorch has a GPU and JAX has none; install jax[cuda13], or use --device cpu"
        ) from error


def _is_plain(agent: Any) -> bool:
    if not isinstance(agent, SAC) or agent.weighted or agent.rewards.changes:
        return False
    options, tasks = agent.actor.options, agent.spec.num_tasks
    plain = options.weight_decay == 0 and options.max_gradient_norm is None
    plain &= agent.policy.log_std == "clip" and type(agent.value) is ScalarValue
    plain &= agent.temperature.log_alpha.numel() == tasks
    for network, inputs in (
        (agent.actor.network, agent.spec.obs_size),
        (agent.critic.network, agent.spec.obs_size + agent.spec.action_size),
    ):
        shapes = list(network.shared_shapes.items())
        plain &= network.own.numel() == 0
        plain &= all(len(shape) == (2 if name.endswith("weight") else 1) for name, shape in shapes)
        plain &= shapes[0][1][-1] == inputs + tasks  # which leaves out networks that know the task otherwise
    return plain


def _state(agent: SAC) -> State:
    (actor,) = _networks(agent.actor.network, 1)
    critics, targets = (_networks(network, 2) for network in (agent.critic.network, agent.target_critic))
    log_alpha = agent.temperature.log_alpha.detach().cpu().numpy().copy()
    trained = (actor, critics, log_alpha)
    first, second = (_zeros(trained) for _ in range(2))
    return State(actor, critics, targets, log_alpha, (first, second), np.zeros((), np.float32))


def _networks(network: FlatModule, count: int) -> Any:
    """Copy the layers of ``count`` networks of one shape out of their vector."""
    sizes = [shape.numel() for shape in network.shared_shapes.values()]
    parts = torch.split(network.shared.detach().cpu(), sizes)
    shaped = [
        part.view(shape).numpy() for part, shape in zip(parts, network.shared_shapes.values(), strict=True)
    ]
    layers = [(weight.T.copy(), bias.copy()) for weight, bias in zip(shaped[::2], shaped[1::2], strict=True)]
    each = len(layers) // count
    return tuple(layers[first : first + each] for first in range(0, len(layers), each))


def _zeros(tree: Any) -> Any:
    if isinstance(tree, tuple | list):
        return type(tree)(_zeros(part) for part in tree)
    return np.zeros_like(tree)


def _batch(batch: Transition) -> Batch:
    return Batch(*(field.float().cpu().numpy() for field in batch))


def _program(jax: Any, agent: SAC, precision: XlaPrecision) -> Callable[..., tuple[State, dict[str, Any]]]:
    """Write the update as a function of state, batch and noise to the new state and the losses [K]."""
    jnp, tasks = jax.numpy, agent.spec.num_tasks
    discount, polyak, entropy = agent.losses.discount, agent.polyak, agent.temperature.target_entropy
    rates = (*[agent.actor.options.learning_rate] * 2, agent.temperature.optimizer.param_groups[0]["lr"])

    def forward(network: Network, *inputs: Any) -> Any:  # [K, B, ...] to [K, B, outputs]
        shape = inputs[0].shape[:2]
        ids = jnp.broadcast_to(jnp.eye(tasks)[:, None], (*shape, tasks))
        hidden = jnp.concatenate([*inputs, ids], -1).reshape(shape[0] * shape[1], -1)
        for weight, bias in network[:-1]:
            hidden = jax.nn.relu(hidden @ weight + bias)
        weight, bias = network[-1]
        return (hidden @ weight + bias).reshape(*shape, -1)

    def twins(critics: Sequence[Network], obs: Any, action: Any) -> Any:
        return jnp.stack([forward(critic, obs, action)[..., 0] for critic in critics])  # [2, K, B]

    def sample(actor: Network, obs: Any, noise: Any) -> tuple[Any, Any]:
        mean, log_std = jnp.split(forward(actor, obs), 2, -1)
        log_std = log_std.clip(LOG_STD_MIN, LOG_STD_MAX)
        before = mean + jnp.exp(log_std) * noise
        log_normal = -0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)
        log_slope = 2 * (math.log(2) - before - jax.nn.softplus(-2 * before))
        return jnp.tanh(before), (log_normal - log_slope).sum(-1)

    def adam(values: Any, slopes: Any, first: Any, second: Any, steps: Any, rate: float) -> Any:
        first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, slopes)
        second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, slopes)
        step, root = rate / (1 - BETA1**steps), jnp.sqrt(1 - BETA2**steps)
        moved = jax.tree.map(
            lambda x, m, v: x - step * m / (jnp.sqrt(v) / root + EPSILON), values, first, second
        )
        return moved, first, second

    def update(state: State, batch: Batch, next_noise: Any, noise: Any) -> tuple[State, dict[str, Any]]:
        alpha, steps = jnp.exp(state.log_alpha), state.steps + 1
        next_action, log_prob = sample(state.actor, batch.next_obs, next_noise)
        value = twins(state.targets, batch.next_obs, next_action).min(0) - alpha[:, None] * log_prob
        target = batch.reward + discount * (1 - batch.terminated) * value  # [K, B]

        def critic_loss(critics: Any) -> tuple[Any, Any]:
            errors = (twins(critics, batch.obs, batch.action) - target) ** 2
            losses = errors.mean(-1).sum(0)  # [K]
            return losses.mean(), losses

        slopes, critic_losses = jax.grad(critic_loss, has_aux=True)(state.critics)
        (firsts, seconds), moved = state.moments, []

        def move(index: int, values: Any, slopes: Any) -> Any:
            moved.append(adam(values, slopes, firsts[index], seconds[index], steps, rates[index]))
            return moved[-1][0]

        critics = move(1, state.critics, slopes)

        def actor_loss(actor: Any) -> tuple[Any, Any]:
            action, log_prob = sample(actor, batch.obs, noise)
            value = twins(critics, batch.obs, action).min(0)
            losses = (alpha[:, None] * log_prob - value).mean(-1)  # [K]
            return losses.mean(), (losses, -log_prob.mean(-1))

        slopes, (actor_losses, entropies) = jax.grad(actor_loss, has_aux=True)(state.actor)
        actor = move(0, state.actor, slopes)
        log_alpha = move(2, state.log_alpha, alpha * (entropies - entropy))
        targets = jax.tree.map(lambda old, new: old + polyak * (new - old), state.targets, critics)
        order = (moved[1], moved[0], moved[2])
        moments = tuple(tuple(part[place] for part in order) for place in (1, 2))
        losses = {"critic/loss": critic_losses, "actor/loss": actor_losses}
        return State(actor, critics, targets, log_alpha, moments, steps), losses

    def program(state: State, batch: Batch, next_noise: Any, noise: Any) -> tuple[State, dict[str, Any]]:
        with jax.default_matmul_precision(None if precision == "default" else precision):
            return update(state, batch, next_noise, noise)

    return program
