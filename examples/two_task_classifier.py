"""Two tasks on one batch, which digit and whether it is even:  python examples/two_task_classifier.py."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

import mtrl
from mtrl.aggregators import CAGrad


def main(steps: int = 200) -> list[float]:
    """Train on 1,500 images of scikit-learn's digits; accuracy of both tasks on the other 297."""
    torch.manual_seed(0)
    data = load_digits()
    images = torch.tensor(data.data, dtype=torch.float32) / 16
    digit = torch.tensor(data.target)
    labels = [digit, digit % 2]
    trunk = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
    heads = nn.ModuleList([nn.Linear(64, 10), nn.Linear(64, 2)])
    aggregator = CAGrad(num_tasks=2, c=0.5)
    optimizer = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], lr=1e-3)
    for _ in range(steps):
        batch = torch.randint(1500, (128,))
        features = trunk(images[batch])
        pairs = zip(heads, labels, strict=True)
        losses = torch.stack([cross_entropy(head(features), label[batch]) for head, label in pairs])
        optimizer.zero_grad()
        mtrl.backward(losses, trunk.parameters(), aggregator, task_parameters=heads.parameters())
        optimizer.step()
    features = trunk(images[1500:])
    pairs = zip(heads, labels, strict=True)
    return [(head(features).argmax(1) == label[1500:]).float().mean().item() for head, label in pairs]


if __name__ == "__main__":
    for task, accuracy in zip(("digit", "parity"), main(), strict=True):
        print(f"{task:<7}{accuracy:.1%}")
