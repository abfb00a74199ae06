"""The installed programs, away from the clone."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_wheel_trains_outside_the_clone(tmp_path):
    pip = [sys.executable, "-m", "pip", "-q"]
    site = tmp_path / "site"
    wheels = tmp_path / "wheels"
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(ROOT)]
    subprocess.run([*pip, *build], check=True, cwd=tmp_path)
    (wheel,) = wheels.iterdir()
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, cwd=tmp_path
    )

    environment = {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}

    def call(*command):
        return subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    def installed(program, *arguments):
        return call(str(site / "bin" / program), *arguments)

    where = call("-c", "import mtrl.configs as a, mtrl.agents.sac as b; print(a.__file__, b.__file__)")
    assert where.stdout.count(str(site)) == 2
    assert {path.name for path in site.iterdir() if path.is_dir()} == {
        "mtrl",
        "mtrl_torch-0.2.0.dist-info",
        "bin",
    }
    small = ["steps_per_task=300", "evaluation_interval=200", "final_episodes=2", "critic_aggregator=pcgrad"]
    result = installed("mtrl-train", "experiment=toy", "run_dir=out", *small)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "evaluations.jsonl").exists()
    result = installed("mtrl-evaluate", "out", "--episodes", "2")
    assert result.returncode == 0, result.stderr
