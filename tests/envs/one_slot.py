"""The evaluation environment of a suite as the tests of tasks like it: one episode at a time."""


class OneSlot:
    """An evaluation environment of the suite, one episode at a time."""

    def __init__(self, suite):
        self.env = suite.evaluation_env()

    def reset(self, task, goal):
        return self.env.advance({0: (task, goal)}, {}).obs[0]

    def step(self, action):
        step = self.env.advance({}, {0: action})
        return step.obs[0], step.reward[0], step.ended[0], step.success[0]
