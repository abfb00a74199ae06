"""Draws how methods differ on two problems in the plane:  python scripts/toy.py --out figure.png."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from landscapes.descend import Adam, ProjectedDescent, follow
from landscapes.figures import draw_bowl_figure, draw_valley_figure
from landscapes.problems import (
    BOWL_RATE,
    BOWL_START,
    VALLEY_STARTS,
    bowl_distance,
    bowl_gradients,
    draw_bowls,
    into_bowl_domain,
    valley_gradients,
    valley_losses,
    valley_pareto_distance,
)
from mtrl.cli.program import run_program
from mtrl.config.registry import build_method, method_names, require_methods
from mtrl.errors import require

SMOOTHED = {"mgda": "cr_mgda", "pcgrad": "cr_pcgrad", "cagrad": "cr_cagrad"}
NOISY = {"moco": {"beta": 5.0, "beta_decay": 0.5}}  # MoCo's paper, appendix F.1, which gives no gamma
RECORDED = 400  # points of each trajectory that are drawn
FORMATS = (".png", ".pdf", ".svg")


def main() -> None:
    """Draw the figure that the arguments describe."""
    parser = argparse.ArgumentParser(
        description="Trajectories of the methods on the valleys of CAGrad's paper and, beside that figure as "
        "NAME-noisy, distances on the noisy bowls of CR-MOGM's.",
    )
    parser.add_argument("--out", type=Path, required=True, help="figure to write: .png, .pdf or .svg")
    parser.add_argument("--methods", nargs="+", help="configurations to draw (all)")
    parser.add_argument("--steps", type=int, default=6000, help="on the valleys (6000)")
    parser.add_argument(
        "--learning-rate",
        type=float,
        default=0.005,
        help="of Adam (0.005); the papers use 0.001, MoCo's noisy figure 0.0025, and 70,000 steps",
    )
    parser.add_argument(
        "--noise", type=float, default=0.0, help="of the gradients (0); MoCo's paper does not give its own"
    )
    parser.add_argument("--bowl-steps", type=int, default=4000, help="on the noisy bowls (4000)")
    parser.add_argument("--repeats", type=int, default=20, help="runs on the noisy bowls (20)")
    parser.add_argument("--seed", type=int, default=0, help="of all random draws (0)")
    arguments = parser.parse_args()
    run_program(partial(_draw, arguments))


def _draw(arguments: argparse.Namespace) -> None:
    methods = arguments.methods or method_names()
    require_methods(methods)
    for name in ("steps", "bowl_steps", "repeats"):
        value = getattr(arguments, name)
        require(value >= 1, f"--{name.replace('_', '-')} must be at least 1, found {value}")
    for name, value in (("learning-rate", arguments.learning_rate), ("noise", arguments.noise)):
        require(0 <= value < float("inf"), f"--{name} must be finite and at least 0, found {value}")
    out: Path = arguments.out
    require(out.suffix in FORMATS, f"--out must end in {', '.join(FORMATS)}, found {out.name!r}")
    require(out.parent.is_dir(), f"--out must lie in an existing folder, found {out.parent}")

    torch.manual_seed(arguments.seed)  # of the methods that draw
    console = Console()
    console.print(f"{len(methods)} methods, {arguments.steps:,} steps on the valleys ...")
    paths = follow_on_valleys(methods, arguments.steps, arguments.learning_rate, arguments.noise)
    draw_valley_figure(paths, arguments.steps, arguments.learning_rate, arguments.noise, out)
    console.print(distance_table(paths))
    console.print(f"written to {out}", soft_wrap=True)
    console.print(f"{arguments.bowl_steps:,} steps on the noisy bowls ...")
    distances = follow_on_bowls(arguments.bowl_steps, arguments.repeats, arguments.seed)
    second = out.with_stem(f"{out.stem}-noisy")
    draw_bowl_figure(distances, SMOOTHED, arguments.bowl_steps, second)
    console.print(f"written to {second}", soft_wrap=True)


def follow_on_valleys(
    methods: list[str], steps: int, learning_rate: float, noise: float
) -> dict[str, Tensor]:
    """Follow each method, [T, 5, 2], as configured, from the papers' five starts."""

    def objective(points: Tensor) -> tuple[Tensor, Tensor]:
        gradients = valley_gradients(points)
        return gradients + noise * torch.randn_like(gradients), valley_losses(points)

    starts = torch.tensor(VALLEY_STARTS, dtype=torch.float64)
    options = NOISY if noise else {}
    builds = {name: partial(build_method, name, 2, **options.get(name, {})) for name in methods}
    return follow(builds, starts, objective, Adam(learning_rate), steps, max(1, steps // RECORDED))


def distance_table(paths: dict[str, Tensor]) -> Table:
    """Lay out how far from the Pareto set each method has come to, from each start."""
    table = Table("distance to the Pareto set from", *(f"({x:g}, {y:g})" for x, y in VALLEY_STARTS))
    for name, path in paths.items():
        table.add_row(name, *(f"{distance:.2f}" for distance in valley_pareto_distance(path[-1]).tolist()))
    return table


def follow_on_bowls(steps: int, repeats: int, seed: int) -> dict[str, Tensor]:
    """Distances [T, repeats] to the Pareto set: GD, the methods that CR-MOGM smooths, and those smoothed.

    All methods see the same draws; the smoothing follows Corollary 1.
    """
    builds = {name: partial(build_method, name, 2) for name in ("mean", *SMOOTHED)}
    builds |= {name: partial(build_method, name, 2, alpha="corollary1") for name in SMOOTHED.values()}
    generator = torch.Generator().manual_seed(seed)

    def objective(points: Tensor) -> tuple[Tensor, Tensor]:
        drawn = draw_bowls(repeats, generator).repeat(len(builds), 1)
        return bowl_gradients(points, drawn), torch.ones(len(points), 2, dtype=points.dtype)

    starts = torch.tensor(BOWL_START, dtype=torch.float64).repeat(repeats, 1)
    update = ProjectedDescent(BOWL_RATE, into_bowl_domain)
    paths = follow(builds, starts, objective, update, steps, max(1, steps // RECORDED))
    return {name: bowl_distance(path) for name, path in paths.items()}


if __name__ == "__main__":
    main()
