import re

from mtrl.analysis.formats import latex
from mtrl.analysis.tables import Table

NAMES = Table(
    "Seeds of moco_cagrad c=50%", ["task", "Δm % from a_b"], [["x_1 & {y} #2 $3", "-4.5"], ["z", "–"]]
)


def test_latex_has_no_bare_special_character_and_balanced_braces():
    text = latex([NAMES])
    for line in text.splitlines():
        bare = re.sub(r"\\.", "", line)  # without commands and what is escaped
        assert not re.search(r"[%#_]", bare), line
        assert bare.count("$") % 2 == 0, line
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    for begin in re.findall(r"\\begin{(\w+)}", text):
        assert text.count(rf"\begin{{{begin}}}") == text.count(rf"\end{{{begin}}}")
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 3
    assert all(len(re.findall(r"(?<!\\)&", row)) == 1 for row in rows)


def test_latex_sets_a_minus_and_a_caption_that_ends():
    text = latex([NAMES])
    assert r"$-$4.5 \\" in text
    assert r"& -- \\" in text
    assert r"\caption{Seeds of moco\_cagrad c=50\%.}" in text
