import io
import json
from functools import cache
from itertools import combinations

import matplotlib.image
import pytest

from mtrl.analysis.figures.gallery import draw_gallery
from mtrl.analysis.figures.listed_curves import draw_listed_curves
from mtrl.analysis.figures.style import image, method_style
from mtrl.analysis.results import gather
from mtrl.analysis.runs import find_runs
from mtrl.analysis.summary import compare_methods
from mtrl.cli import evaluate, plot
from tests.mtrl.analysis.made_up_runs import make_up_run

NAMES = {"aggregates", "learning_curves", "task_map", "task_curves"} | {
    f"{kind}_{part}" for kind in ("cosines", "weights") for part in ("actor", "critic")
}


def sweep(folder, seeds=2, **options):
    for seed in range(seeds):
        for method in ("mean", "cagrad"):
            make_up_run(
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


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The figures of what a function makes up, drawn once for the tests that only look at them."""

    @cache
    def call(make):
        folder = tmp_path_factory.mktemp(make.__name__)
        make(folder)
        return gallery(folder)[0]

    return call


def test_every_figure_says_what_was_measured_and_every_panel_what_it_shows(drawn):
    for name, figure in drawn(sweep).items():
        caption = figure.texts[-1].get_text().replace("\n", " ")
        assert "2 seeds" in caption, name
        assert "interval" in caption or "bands" in caption, name
        titles = [(panel.get_xlabel(), panel.get_ylabel()) for panel in figure.axes]
        assert any(x for x, _ in titles), name
        assert any(y for _, y in titles), name


def many_methods(folder):
    """Names of methods that are long, an unfinished run, and an incomplete last row of panels."""
    tasks = tuple(f"button-press-topdown-wall-{index}-v3" for index in range(7))
    options = ("agent=soft_modular", "aggregator=cagrad")
    for width in (8, 16, 32):
        for rate in ("0.001", "0.002"):
            long = (f"agent.learning_rate={rate}", f"batch_size={width}")
            make_up_run(folder / f"{width}-{rate}", "experiment=toy", *options, *long, tasks=tasks)
    make_up_run(folder / "mean", "experiment=toy", "aggregator=mean", tasks=tasks, finished=False)


SWEEPS = pytest.mark.parametrize("make", [sweep, many_methods])


@SWEEPS
def test_nothing_is_cut_off(drawn, make):
    for name, figure in drawn(make).items():
        image(figure, "png")  # lays it out
        box = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert box.x0 > -0.02, name
        assert box.y0 > -0.02, name
        assert box.x1 < width + 0.02, name
        assert box.y1 < height + 0.02, name


@SWEEPS
def test_no_title_is_written_over_another(drawn, make):
    for name, figure in drawn(make).items():
        image(figure, "png")
        titles = [
            title
            for panel in figure.axes
            for title in (panel.title, panel.xaxis.label, panel.yaxis.label)
            if panel.axison and title.get_text()
        ]
        boxes = [title.get_window_extent() for title in titles]
        for one, other in combinations(range(len(titles)), 2):
            words = f"{name}: {titles[one].get_text()!r} and {titles[other].get_text()!r}"
            assert not boxes[one].overlaps(boxes[other]), words


def test_every_column_of_panels_says_what_its_lowest_shows(drawn):
    figures = drawn(many_methods)
    for name, used in (("task_curves", 7), ("weights_actor", 7)):
        panels = figures[name].axes[:used]
        titled = [index for index, panel in enumerate(panels) if panel.get_xlabel()]
        columns = panels[0].get_gridspec().ncols
        assert titled == list(range(used - columns, used)), name
        for index in titled:
            assert panels[index].xaxis.get_tick_params()["labelbottom"], name


def test_a_caption_says_where_an_unfinished_run_counts(drawn):
    for name in ("aggregates", "task_map"):
        caption = drawn(many_methods)[name].texts[-1].get_text().replace("\n", " ")
        assert "of 1 unfinished run: the last evaluation" in caption


def test_a_scale_is_said_to_be_cut_only_where_it_is(tmp_path):
    sweep(tmp_path / "even", evaluations=2)
    sweep(tmp_path / "uneven", evaluations=2)
    for path in (tmp_path / "uneven").rglob("metrics.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows[0]["actor/weight/turn-0"] = 0.9  # 3.6 times the mean's
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, cut in (("even", False), ("uneven", True)):
        caption = gallery(tmp_path / name)[0]["weights_actor"].texts[-1].get_text()
        assert ("Scale cut" in caption) == cut


def test_a_single_run_has_figures_and_says_that_it_has_no_interval(run, tmp_path, capsys):
    make_up_run(tmp_path / "one")
    assert run(plot, "one", "--out", "figures", "--format", "svg") == 0
    assert "no interval from a single run: cagrad" in capsys.readouterr().out
    assert len(list((tmp_path / "figures").glob("*.svg"))) == len(NAMES)


def test_listed_curves_are_drawn_with_every_seed_over_steps_and_time(run, tmp_path, capsys):
    sweep(tmp_path / "runs", seeds=3, evaluations=4)
    for path in (tmp_path / "runs").rglob("metrics.jsonl"):
        lines = [
            json.loads(line) | {"time/steps_per_second": 100.0} for line in path.read_text().splitlines()
        ]
        lines = [line | {"total_steps": 4 * line["step"]} for line in lines]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name in ("mean", "cagrad"):
        assert run(evaluate, f"runs/{name}", "--curves", f"{name}.csv") == 0
    figure = draw_listed_curves([tmp_path / "mean.csv", tmp_path / "cagrad.csv"])
    over_steps, over_time = figure.axes
    assert len(over_steps.lines) == len(over_time.lines) == 2 * (3 + 1)
    seeds, mean = over_steps.lines[:3], over_steps.lines[3]
    assert mean.get_ydata() == pytest.approx(sum(line.get_ydata() for line in seeds) / 3)
    assert list(over_time.lines[0].get_xdata()) == pytest.approx([40 * n / 60 for n in (1, 2, 3, 4)])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["mean", "cagrad"]
    assert run(plot, "mean.csv", "cagrad.csv", "--out", "drawn") == 0
    assert (tmp_path / "drawn" / "curves.png").exists()


@pytest.mark.parametrize(
    "text",
    ["", "method,seed\n", "method,seed\na,0\n", "\0", "method,seed,step,seconds,mean_success\na,0,x,1,1\n"],
)
def test_what_is_no_list_of_curves_is_refused_in_a_line(run, tmp_path, capsys, text):
    (tmp_path / "odd.csv").write_text(text)
    assert run(plot, "odd.csv", "--out", "drawn") == 2
    assert capsys.readouterr().err.startswith("error: odd.csv")
    assert not (tmp_path / "drawn").exists()


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


@pytest.mark.parametrize("lost", ["color", "linestyle", "marker"])
def test_methods_can_be_told_apart_by_what_is_left(lost):
    styles = [{**method_style(index), lost: None} for index in range(31)]
    assert len({str(style) for style in styles}) == 31


def test_bad_options_are_one_line_and_status_2(run, tmp_path, capsys):
    make_up_run(tmp_path / "one")
    (tmp_path / "file").write_text("")
    for out, message in (("file", "--out must be a folder"), ("file/deep", "cannot make the folder")):
        assert run(plot, "one", "--out", out) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert run(plot, "missing", "--out", "figures") == 2
    assert "no run directory at missing" in capsys.readouterr().err
