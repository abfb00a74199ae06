import matplotlib.image
import pytest
import toy

TINY = ("--steps", "3", "--bowl-steps", "3", "--repeats", "2")


def test_both_figures_are_drawn(run, tmp_path, capsys):
    methods = ("mean", "mgda", "moco", "graddrop", "famo", "cagrad_fast")
    assert run(toy, "--out", "figure.png", "--methods", *methods, *TINY) == 0
    printed = capsys.readouterr().out
    for name in ("figure.png", "figure-noisy.png"):
        assert f"written to {name}" in printed
        pixels = matplotlib.image.imread(tmp_path / name)
        assert min(pixels.shape[:2]) > 400
        assert pixels[..., :3].std() > 0.05, "more than a blank page"


def test_every_configuration_can_be_followed():
    paths = toy.follow_on_valleys(toy.method_names(), steps=2, learning_rate=0.01, noise=0.1)
    assert set(paths) == set(toy.method_names())
    for name, path in paths.items():
        assert path.shape == (3, 5, 2)
        assert path.isfinite().all(), name
        assert (path[-1] != path[0]).any(), name


def test_a_seed_fixes_the_draws():
    first, again, other = (toy.follow_on_bowls(steps=5, repeats=2, seed=seed)["mgda"] for seed in (0, 0, 1))
    assert first.equal(again)
    assert not first.equal(other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--methods", "mgdaa"), "unknown method mgdaa; choose among: aligned_mtl, cagrad, "),
        (("--steps", "0"), "--steps must be at least 1, found 0"),
        (("--repeats", "0"), "--repeats must be at least 1, found 0"),
        (("--noise", "nan"), "--noise must be finite and at least 0, found nan"),
        (("--out", "figure.txt"), "--out must end in .png, .pdf, .svg, found 'figure.txt'"),
        (("--out", "missing/figure.png"), "--out must lie in an existing folder, found missing"),
    ],
)
def test_bad_options_are_one_line_and_status_2(run, capsys, options, message):
    assert run(toy, "--out", "figure.png", *TINY, *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
