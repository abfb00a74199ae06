import io

import matplotlib.image
import pytest

from scripts import plot
from scripts.evidence.gallery import draw_gallery
from scripts.evidence.results import gather
from scripts.evidence.runs import find_runs
from scripts.evidence.style import image, method_style
from scripts.evidence.summary import compare_methods
from tests.scripts.evidence.fake import write_run

NAMES = {"aggregates", "learning_curves", "task_map", "task_curves"} | {
    f"{kind}_{part}" for kind in ("cosines", "weights") for part in ("actor", "critic")
}


def sweep(folder, seeds=2, **options):
    for seed in range(seeds):
        for method in ("mean", "cagrad"):
            write_run(
                folder / method / str(seed), "experiment=toy", f"aggregator={method}", seed=seed, **options
            )


def gallery(folder):
    evidence = gather(find_runs([folder]))
    return draw_gallery(evidence, compare_methods(evidence))


def pixels(figure):
    return matplotlib.image.imread(io.BytesIO(image(figure, "png")), format="png")


def test_every_figure_is_drawn(run, tmp_path, capsys):
    sweep(tmp_path / "runs")
    assert run(plot, "runs", "--out", "deep/figures") == 0
    assert {path.stem for path in (tmp_path / "deep" / "figures").glob("*.png")} == NAMES
    printed = capsys.readouterr().out
    for name in NAMES:
        assert f"written to deep/figures/{name}.png" in printed
        drawn = matplotlib.image.imread(tmp_path / "deep" / "figures" / f"{name}.png")
        assert min(drawn.shape[:2]) > 250
        assert drawn[..., :3].std() > 0.03, "more than a blank page"


def test_every_figure_says_what_was_measured_and_every_panel_what_it_shows(tmp_path):
    sweep(tmp_path)
    for name, figure in gallery(tmp_path)[0].items():
        caption = figure.texts[-1].get_text().replace("\n", " ")
        assert "2 seeds" in caption, name
        assert "interval" in caption or "bands" in caption, name
        titles = [(panel.get_xlabel(), panel.get_ylabel()) for panel in figure.axes]
        assert any(x for x, _ in titles), name
        assert any(y for _, y in titles), name


def test_nothing_is_cut_off(tmp_path):
    sweep(tmp_path)
    for name, figure in gallery(tmp_path)[0].items():
        image(figure, "png")  # lays it out
        box = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert box.x0 > -0.02, name
        assert box.y0 > -0.02, name
        assert box.x1 < width + 0.02, name
        assert box.y1 < height + 0.02, name


def test_a_single_run_has_figures_and_says_that_it_has_no_interval(run, tmp_path, capsys):
    write_run(tmp_path / "one")
    assert run(plot, "one", "--out", "figures", "--format", "svg") == 0
    assert "no interval from a single run: cagrad" in capsys.readouterr().out
    assert len(list((tmp_path / "figures").glob("*.svg"))) == len(NAMES)


def test_figures_without_data_are_left_out_and_named(tmp_path):
    sweep(tmp_path, metrics=False)
    figures, notes = gallery(tmp_path)
    assert set(figures) == {"aggregates", "learning_curves", "task_map", "task_curves"}
    assert "no figure cosines_actor: the runs logged nothing for it" in notes


@pytest.mark.parametrize("options", [{"finished": False}, {"tasks": ("only",)}, {"evaluations": 1}], ids=str)
def test_odd_runs_have_figures(tmp_path, options):
    sweep(tmp_path, **options)
    figures, _ = gallery(tmp_path)
    assert {"aggregates", "learning_curves", "task_map", "task_curves"} <= set(figures)
    for figure in figures.values():
        assert pixels(figure).std() > 0.03


def test_equal_runs_give_equal_files(tmp_path):
    sweep(tmp_path)
    first, second = (gallery(tmp_path)[0]["learning_curves"] for _ in range(2))
    for kind in ("png", "svg", "pdf"):
        assert image(first, kind) == image(second, kind)


def test_methods_can_be_told_apart_without_colour():
    styles = [method_style(index) for index in range(35)]
    assert len({(style["color"], str(style["linestyle"])) for style in styles}) == 35
    assert len({(style["marker"], str(style["linestyle"])) for style in styles}) == 35


def test_bad_options_are_one_line_and_status_2(run, tmp_path, capsys):
    write_run(tmp_path / "one")
    (tmp_path / "file").write_text("")
    for out, message in (("file", "--out must be a folder"), ("file/deep", "cannot make the folder")):
        assert run(plot, "one", "--out", out) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert run(plot, "missing", "--out", "figures") == 2
    assert "no run directory at missing" in capsys.readouterr().err
