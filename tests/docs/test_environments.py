"""What docs/environments.md promises, held against the programs."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "environments.md").read_text()


def test_every_file_it_names_exists():
    names = re.findall(r"`((?:envs|tests)/[\w/]+\.py)", TEXT)
    assert names, "the document names files in another form: follow it here"
    assert all((ROOT / name).is_file() for name in names)


def test_every_option_it_names_has_a_default():
    configs = ROOT / "configs"
    files = ("env/mt10.yaml", "env/gymnasium.yaml", "train.yaml")
    options = "".join((configs / name).read_text() for name in files)
    names = re.findall(r"^\| `(?:env\.)?([a-z]\w*)` \|", TEXT, re.MULTILINE)
    assert names, "the document lists options in another form: follow it here"
    assert all(re.search(rf"^{name}:", options, re.MULTILINE) for name in names)
