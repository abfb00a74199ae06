"""What TensorBoard shows of a run."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from mtrl.cli import train
from mtrl.runs.logger import SUCCESS
from tests.tiny_run import DRAWABLE, TINY, train_once

ROOT = Path(__file__).parents[3]


def events(run_dir):
    found = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    found.Reload()
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("logged") / "out"
    train_once(*TINY, f"run_dir={out}", "aggregator.c=0.3", "seed=5")
    return events(out)


def test_every_chart_of_the_layout_finds_curves(finished):
    content = finished.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    layout = Layout.FromString(content)
    assert [category.title for category in layout.category] == ["success", "conflict", "speed"]
    curves = finished.Tags()["scalars"]
    for category in layout.category:
        for chart in category.chart:
            (pattern,) = chart.multiline.tag
            assert any(re.fullmatch(pattern, curve) for curve in curves), chart.title


def test_options_and_seed_are_hyperparameters_beside_the_success(finished):
    (start,) = (finished.summary_metadata["_hparams_/session_start_info"].plugin_data.content,)
    options = HParamsPluginData.FromString(start).session_start_info.hparams
    assert options["aggregator.c"].number_value == 0.3
    assert options["seed"].number_value == 5
    assert options["agent.network.hidden"].string_value == "[8]"
    experiment = finished.summary_metadata["_hparams_/experiment"].plugin_data.content
    (metric,) = HParamsPluginData.FromString(experiment).experiment.metric_infos
    assert metric.name.tag == SUCCESS in finished.Tags()["scalars"]


def test_evaluations_are_filmed_if_asked(tmp_path):
    command = [
        sys.executable,
        str(ROOT / "scripts" / "train.py"),
        *DRAWABLE,
        "record_evaluations=true",
        "run_dir=out",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (film,) = events(tmp_path / "out").Images("evaluation/video")
    assert film.step == 12
    with Image.open(io.BytesIO(film.encoded_image_string)) as pictures:
        assert pictures.size == (2 * 128, 128)
        assert pictures.n_frames > 1
        assert len(pictures.convert("RGB").getcolors(10**6)) > 10


def test_only_meta_world_is_filmed(run, capsys):
    assert run(train, *TINY, "record_evaluations=true") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: record_evaluations: videos need a suite")
    assert "found point_mass" in error
