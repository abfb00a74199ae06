"""Turn task descriptions into vectors:  python scripts/embed_descriptions.py agents/descriptions."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtrl.errors import UsageError, require
from scripts.command_line import run_program


def main() -> None:
    """Parse the command line and write ``vectors.npy`` beside ``sentences.json``."""
    parser = argparse.ArgumentParser(description="Embed one sentence per task for agent=care.")
    parser.add_argument("folder", type=Path, help="holds sentences.json: {task name: sentence}")
    arguments = parser.parse_args()
    run_program(partial(_write, arguments.folder))


def _write(folder: Path) -> None:
    sentences = folder / "sentences.json"
    require(sentences.is_file(), f"folder must hold sentences.json ({{task name: sentence}}), found {folder}")
    texts = list(json.loads(sentences.read_text()).values())
    np.save(folder / "vectors.npy", embed(texts))
    print(f"{folder / 'vectors.npy'}: {len(texts)} vectors")


def embed(sentences: list[str]) -> NDArray[np.float32]:
    """Unit vectors [N, 256] of WordLlama, whose weights come with its package: nothing is downloaded."""
    try:
        import wordllama
    except ImportError as error:
        message = 'the package wordllama must be installed; run: pip install "mtrl[descriptions]"'
        raise UsageError(message) from error
    # It looks for a tokenizer in its cache only, though the package brings one.
    package = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=package, disable_download=True)
    return np.asarray(model.embed(sentences, norm=True), np.float32)


if __name__ == "__main__":
    main()
