"""Embeds one sentence for each task, for agent=care:  python scripts/embed_descriptions.py --help.

Needs ``pip install wordllama``: a small sentence model with its weights in the wheel.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np

from mtrl.cli.program import run_program
from mtrl.errors import UsageError, require
from mtrl.types import FloatArray

FOLDER = Path(__file__).parent.parent / "agents" / "descriptions"


def main() -> None:
    """Parse the arguments and write the vectors."""
    parser = argparse.ArgumentParser(description="Embed one sentence for each task, for agent=care.")
    parser.add_argument(
        "--sentences",
        type=Path,
        default=FOLDER / "sentences.json",
        help="a JSON object, task name: sentence (the package's)",
    )
    parser.add_argument(
        "--out", type=Path, default=FOLDER / "vectors.npz", help="the .npz to write (the package's)"
    )
    arguments = parser.parse_args()
    run_program(partial(_write, arguments.sentences, arguments.out))


def _write(source: Path, out: Path) -> None:
    require(out.suffix == ".npz", f"--out must end in .npz, found {out}")
    require(out.parent.is_dir(), f"--out must be in a folder that exists, found {out}")
    sentences = read_sentences(source)
    vectors = embed(list(sentences.values()))
    np.savez(out, **dict(zip(sentences, vectors, strict=True)))
    print(f"{len(sentences)} vectors of {vectors.shape[1]} numbers in {out}")


def read_sentences(source: Path) -> dict[str, str]:
    """Read the sentence of each task."""
    try:
        sentences = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--sentences must be a JSON file, cannot read {source}: {error}") from error
    valid = isinstance(sentences, dict) and all(isinstance(text, str) and text for text in sentences.values())
    require(valid and len(sentences) > 0, f"{source} must hold a JSON object, task name: sentence")
    return sentences


def embed(sentences: list[str]) -> FloatArray:
    """Embed sentences as vectors [N, E] of unit norm, the mean over each sentence's tokens."""
    try:
        import wordllama
    except ImportError as error:
        raise UsageError("embedding needs WordLlama: pip install 'wordllama>=0.4,<0.5'") from error
    # Both files are in the wheel; the folder makes the library find the tokenizer there.
    package = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=package, disable_download=True)
    vectors: FloatArray = model.embed(sentences, norm=True)
    return vectors


if __name__ == "__main__":
    main()
