import json
from pathlib import Path

import numpy as np
import pytest
import torch
from metaworld.env_dict import MT50_V3

import mtrl.agents.descriptions
from mtrl.agents.descriptions import task_vectors
from mtrl.envs.point_mass import PointMassSuite
from mtrl.errors import UsageError

FOLDER = Path(mtrl.agents.descriptions.__file__).parent
SENTENCES = json.loads((FOLDER / "sentences.json").read_text())


def test_every_task_of_meta_world_is_described():
    assert set(MT50_V3) <= set(SENTENCES)
    assert task_vectors(list(MT50_V3)).shape == (50, 256)


@pytest.mark.parametrize("tasks", [1, 2, 3, 4, 5, 6, 8, 10])
def test_the_usual_toy_suites_are_described(tasks):
    assert task_vectors(PointMassSuite(seed=0, tasks=tasks).spec.task_names).shape == (tasks, 256)


def test_every_sentence_has_its_vector_and_no_two_are_alike():
    vectors = task_vectors(list(SENTENCES))
    torch.testing.assert_close(vectors.square().mean(1), torch.ones(len(SENTENCES)))
    cosines = vectors @ vectors.T / vectors.shape[1] - torch.eye(len(SENTENCES))
    assert cosines.max() < 0.99
    with np.load(FOLDER / "vectors.npz") as archive:
        assert list(archive) == list(SENTENCES)


def test_a_task_without_a_sentence_says_what_to_edit():
    with pytest.raises(UsageError, match=r"turn-7, turn-8; add it to agents/descriptions/sentences\.json"):
        task_vectors(["turn-0", "turn-7", "turn-8"])


def test_a_file_that_is_no_archive_is_named(tmp_path):
    for name, text in (("text.npz", "hello"), ("empty.npz", ""), ("missing.npz", None)):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(UsageError, match=name):
            task_vectors(["reach-v3"], str(tmp_path / name))


def test_vectors_of_several_sizes_are_refused(tmp_path):
    np.savez(tmp_path / "mine.npz", a=np.ones(3), b=np.ones(4))
    with pytest.raises(UsageError, match="one size"):
        task_vectors(["a", "b"], str(tmp_path / "mine.npz"))
