import itertools
import shutil
import subprocess
from html.parser import HTMLParser

import html5lib
import pytest

from mtrl.cli import report
from tests.mtrl.analysis.made_up_runs import make_up_run

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (
    "--headless",
    "--no-sandbox",  # containers run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no network
    "--enable-logging=stderr",
    "--window-size=1200,900",
)


@pytest.fixture
def page(run, tmp_path):
    for seed in range(2):
        make_up_run(tmp_path / "runs" / f"mean{seed}", "experiment=toy", "aggregator=mean", seed=seed)
        make_up_run(tmp_path / "runs" / f"cagrad{seed}", "experiment=toy", seed=seed, skill=0.9)
    assert run(report, "runs", "--out", "report.html", "--title", "Mean & <CAGrad>") == 0
    return tmp_path / "report.html"


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]


def browse(path, folder):
    """The page as a browser has it, and what it says of it."""
    command = [BROWSER, *QUIET, f"--user-data-dir={folder}", "--dump-dom", path.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    complaints = [line for line in result.stderr.splitlines() if "CONSOLE" in line or "ERR_" in line]
    return result.stdout, complaints


def test_the_page_is_valid_and_holds_everything(page):
    text = page.read_text()
    html5lib.HTMLParser(strict=True).parse(text)
    assert "<title>Mean &amp; &lt;CAGrad&gt;</title>" in text
    for heading in ("Methods", "Options", "Tasks", "Figures", "Seeds", "Runs", "Commands"):
        assert f"<h2>{heading}</h2>" in text
    assert text.count("<img ") == text.count('alt="') == 8
    assert "python scripts/train.py env=point_mass agent=sac aggregator=cagrad" in text
    assert "python scripts/report.py runs --out report.html" in text
    links = Links()
    links.feed(text)
    assert links.found
    assert all(link.startswith("data:") for link in links.found), "it asks for something outside itself"
    assert "url(" not in text
    assert "<script" not in text


@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome on this machine")
def test_a_browser_opens_it_without_network_and_without_complaint(page, tmp_path):
    shown, complaints = browse(page, tmp_path / "profile")
    assert complaints == []
    assert shown.count("<img ") == 8
    assert "turn-270" in shown


@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome on this machine")
def test_the_tables_about_methods_are_as_wide_as_the_page_or_less(run, tmp_path):
    names = ("mean", "moco_cagrad", "dynamic_weighting")
    for seed, name in itertools.product(range(2), names):
        make_up_run(tmp_path / "runs" / f"{name}{seed}", "experiment=toy", f"aggregator={name}", seed=seed)
    assert run(report, "runs", "--out", "report.html") == 0
    page = tmp_path / "report.html"
    measure = "[...document.querySelectorAll('.wide')].slice(0, 3).map(t => t.scrollWidth - t.clientWidth)"
    probe = f"<script>document.title = 'over: ' + {measure}</script></body>"
    page.write_text(page.read_text().replace("</body>", probe))
    shown, _ = browse(page, tmp_path / "profile")
    assert "<title>over: 0,0,0</title>" in shown


@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome on this machine")
def test_a_browser_would_complain_of_a_broken_page(tmp_path):
    broken = tmp_path / "broken.html"
    broken.write_text('<script>console.error("broken")</script><img src="http://example.invalid/a.png">')
    assert browse(broken, tmp_path / "profile")[1]


def test_a_single_unfinished_run_has_a_page(run, tmp_path):
    make_up_run(tmp_path / "one", finished=False)
    assert run(report, "one", "--out", "one.html") == 0
    text = (tmp_path / "one.html").read_text()
    html5lib.HTMLParser(strict=True).parse(text)
    assert "one is unfinished: its figures are of step 4,000" in text
    assert "no interval from a single run: cagrad" in text


@pytest.mark.parametrize(
    ("out", "message"), [("report.txt", "must end in .html"), ("missing/a.html", "an existing folder")]
)
def test_bad_options_are_one_line_and_status_2(run, tmp_path, capsys, out, message):
    make_up_run(tmp_path / "one")
    assert run(report, "one", "--out", out) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
