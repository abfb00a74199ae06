import json

import embed_descriptions
import numpy as np
import pytest
from embed_descriptions import FOLDER, embed, read_sentences


def test_shipped_vectors_are_those_of_the_shipped_sentences():
    pytest.importorskip("wordllama")
    sentences = read_sentences(FOLDER / "sentences.json")
    with np.load(FOLDER / "vectors.npz") as archive:
        shipped = np.stack([archive[name] for name in sentences])
    np.testing.assert_allclose(shipped, embed(list(sentences.values())), atol=1e-5)


def test_sentences_of_ones_own_are_embedded(run, tmp_path):
    pytest.importorskip("wordllama")
    (tmp_path / "mine.json").write_text(json.dumps({"juggle": "Keep three balls in the air."}))
    assert run(embed_descriptions, "--sentences", "mine.json", "--out", "mine.npz") == 0
    with np.load(tmp_path / "mine.npz") as archive:
        assert archive["juggle"].shape == (256,)
        np.testing.assert_allclose(np.linalg.norm(archive["juggle"]), 1, rtol=1e-5)


@pytest.mark.parametrize("text", ["[]", "{}", '{"a": 1}', '{"a": ""}', "{", None])
def test_a_file_that_is_no_list_of_sentences_is_one_line(run, tmp_path, capsys, text):
    if text is not None:
        (tmp_path / "mine.json").write_text(text)
    assert run(embed_descriptions, "--sentences", "mine.json", "--out", "mine.npz") == 2
    assert "mine.json" in capsys.readouterr().err
    assert not (tmp_path / "mine.npz").exists()


@pytest.mark.parametrize("out", ["vectors.json", "nowhere/vectors.npz"])
def test_a_place_that_cannot_be_written_is_one_line(run, capsys, out):
    assert run(embed_descriptions, "--out", out) == 2
    assert capsys.readouterr().err.startswith("error: --out must")
