"""Text files are UTF-8 on every machine, whatever its locale is."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("mtrl", "agents", "envs", "configs", "scripts", "examples")
TEXT = ("read_text", "write_text")


def depends_on_the_locale(call):
    """Whether a call reads or writes text and does not say in which encoding."""
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if None in named or "encoding" in named:
        return False
    function = ast.unparse(call.func)
    name = function.rpartition(".")[2]
    if name == "open" and function not in ("os.open", "Image.open"):
        modes = [named["mode"]] if "mode" in named else call.args[function == "open" :][:1]
        return not any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in modes)
    return name in TEXT or "text" in named or "universal_newlines" in named


def test_everything_that_opens_text_names_its_encoding():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for folder in FOLDERS
        for path in (ROOT / folder).resolve().rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and depends_on_the_locale(node)
    ]
    assert found == []
