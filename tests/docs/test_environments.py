"""What docs/environments.md promises, held against the programs."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "environments.md").read_text()


def test_every_file_it_names_exists():
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL):
        for line in block.splitlines():
            for word in shlex.split(line, comments=True):
                if word.startswith("scripts/"):
                    assert (ROOT / word).is_file()
    for name in re.findall(r"`((?:envs|tests)/\w+\.py)", TEXT):
        assert (ROOT / name).is_file()


def test_every_option_it_names_has_a_default():
    configs = ROOT / "configs"
    options = (configs / "env" / "mt10.yaml").read_text() + (configs / "train.yaml").read_text()
    for row in re.findall(r"^\| `(?:env\.)?(\w+)` \|", TEXT, re.MULTILINE):
        assert re.search(rf"^{row}:", options, re.MULTILINE)
