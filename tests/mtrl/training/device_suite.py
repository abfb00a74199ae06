"""A suite of points on the learner's device: an action moves a point, which is to reach its goal."""

import torch

from mtrl.types import SuiteSpec

STEP = 0.2


class Points:
    def __init__(self, spec, copies, seed):
        self.copies = copies
        self._spec = spec
        self._generator = torch.Generator().manual_seed(seed)
        shape = (spec.num_tasks, copies)
        self.obs = torch.zeros(*shape, 4)
        self.next_obs = torch.zeros(*shape, 4)
        self.action = torch.zeros(*shape, 2)
        self.reward = torch.zeros(shape)
        self.success = torch.zeros(shape, dtype=torch.bool)
        self._goal = torch.zeros(*shape, 2)
        self._place = torch.zeros(*shape, 2)
        self._length, self._running = 0, False

    @property
    def begun(self):
        return self._length == 0

    @property
    def last(self):
        return self._length + 1 == self._spec.horizon

    def reset(self):
        self._draw()
        self._begin()
        return self.obs

    def begin_at(self, goal):
        angle = goal / self._spec.num_goals * 2 * torch.pi
        self._goal.copy_(torch.stack((angle.cos(), angle.sin()), -1))
        self._begin()

    def act(self):
        self._move = STEP * self.action

    def simulate(self):
        self._joined = False
        self._length += 1
        if self._length == self._spec.horizon:
            self._length = 0
            self._draw()

    def join(self):
        self._joined = True
        self._place.add_(self._move)

    def observe(self, last):
        assert self._joined
        before = self.obs[..., 2:] if last else self._goal  # the goal of the next episode is drawn already
        self.next_obs.copy_(torch.cat((self._place, before), -1))
        distance = (self._place - before).norm(dim=-1)
        self.reward.copy_(1 - distance)
        self.success.copy_(distance < 0.5)
        self.obs.copy_(self.next_obs)
        if last:
            self._begin()

    def state_dict(self):
        tensors = {"obs": self.obs, "goal": self._goal, "place": self._place}
        numbers = {"length": self._length, "running": self._running}
        return tensors | numbers | {"generator": self._generator.get_state()}

    def load_state_dict(self, state):
        for tensor, name in ((self.obs, "obs"), (self._goal, "goal"), (self._place, "place")):
            tensor.copy_(torch.as_tensor(state[name]))
        self._length, self._running = state["length"], state["running"]
        self._generator.set_state(torch.as_tensor(state["generator"]))
        return self.obs if self._running else None

    def summary(self):
        return "points"

    def close(self):
        pass

    def _draw(self):
        goal = torch.randint(self._spec.num_goals, self.reward.shape, generator=self._generator)
        angle = goal / self._spec.num_goals * 2 * torch.pi
        self._goal.copy_(torch.stack((angle.cos(), angle.sin()), -1))

    def _begin(self):
        self._place.zero_()
        self.obs.copy_(torch.cat((self._place, self._goal), -1))
        self._running = True


class PointsSuite:
    def __init__(self, *, seed, copies=3, horizon=5):
        self.spec = SuiteSpec(("one", "two"), obs_size=4, action_size=2, horizon=horizon, num_goals=8)
        self._seed, self._copies = seed, copies

    def worlds(self, device, copies=None):
        assert device.type == "cpu"
        return Points(self.spec, copies or self._copies, self._seed)

    def training_env(self):
        raise AssertionError("environments on the device were asked for")

    def evaluation_env(self):
        return self

    def close(self):
        pass

    def describe(self):
        return {"suite": "points", "tasks": list(self.spec.task_names)}
