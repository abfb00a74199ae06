"""What docs/environments.md promises, held against the programs."""

import re

from tests.docs.commands import ROOT

TEXT = (ROOT / "docs" / "environments.md").read_text()


def test_every_file_it_names_exists():
    names = re.findall(r"`((?:envs|tests)/[\w/]+\.py)", TEXT)
    assert names, "the document names files in another form: follow it here"
    assert all((ROOT / name).is_file() for name in names)


def test_every_option_it_names_has_a_default():
    files = [ROOT / "configs" / "train.yaml", *(ROOT / "configs" / "env").glob("*.yaml")]
    options = "".join(path.read_text() for path in files)
    names = re.findall(r"^\| `(?:env\.)?([a-z]\w*)` \|", TEXT, re.MULTILINE)
    assert names, "the document lists options in another form: follow it here"
    assert all(re.search(rf"^{name}:", options, re.MULTILINE) for name in names)
