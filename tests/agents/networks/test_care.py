import json

import numpy as np
import pytest
import torch

from agents.networks import CARE, Layers, Sizes
from agents.networks.care import SHIPPED, description_vectors
from mtrl.errors import UsageError

META_WORLD = Sizes(("reach-v3", "push-v3", "door-open-v3"), obs=5, action=2, outputs=4)


def build(layers, **options):
    return CARE(META_WORLD, layers, **{"hidden": [8], "encoders": 3, "width": 6, **options})


def test_every_meta_world_task_and_no_two_alike():
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    vectors = description_vectors(list(ALL_V3_ENVIRONMENTS), None)
    assert len(vectors) == 50
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(50))
    cosine = vectors @ vectors.T - torch.eye(50)
    assert cosine.max() < 0.99


def test_the_shipped_vectors_are_those_of_the_shipped_sentences():
    pytest.importorskip("wordllama")
    from scripts.embed_descriptions import embed

    sentences = json.loads(SHIPPED.joinpath("sentences.json").read_text())
    shipped = description_vectors(list(sentences), None).numpy()
    np.testing.assert_allclose(embed(list(sentences.values())), shipped, atol=1e-6)


def test_outputs_equal_a_loop_over_encoders(layers):
    network = build(layers)
    obs, action, task = torch.randn(6, 5), torch.randn(6, 2), torch.eye(3)[1]
    context = network.context(description_vectors(["push-v3"], None)[0])
    shares = network.attention(context).softmax(-1)
    mixed = 0
    for index in range(3):
        first, second = network.encode, network.encode_again
        hidden = torch.relu(obs @ first.weight[index].T + first.bias[index])
        mixed = mixed + shares[index] * (hidden @ second.weight[index].T + second.bias[index])
    expected = network.layers(torch.cat([mixed, action, context.expand(6, -1)], dim=-1))
    torch.testing.assert_close(network(task, obs, action), expected)


def test_an_unknown_task_is_named_with_the_remedy():
    layers = Layers(torch.device("cpu"), None)
    with pytest.raises(UsageError, match=r"no description of task fly-v3; .*embed_descriptions"):
        CARE(META_WORLD._replace(task_names=("reach-v3", "fly-v3")), layers, hidden=[8], encoders=2, width=4)


def test_descriptions_of_ones_own(layers, tmp_path):
    names = META_WORLD.task_names
    with pytest.raises(UsageError, match=r"folder with sentences.json"):
        build(layers, descriptions=str(tmp_path))
    (tmp_path / "sentences.json").write_text(json.dumps(dict.fromkeys(names, "do it")))
    np.save(tmp_path / "vectors.npy", np.eye(3, 4, dtype=np.float32))
    network = build(layers, descriptions=str(tmp_path))
    torch.testing.assert_close(network.descriptions, torch.eye(3, 4))
    np.save(tmp_path / "vectors.npy", np.eye(2, 4, dtype=np.float32))
    with pytest.raises(UsageError, match="embed them again"):
        build(layers, descriptions=str(tmp_path))


@pytest.mark.parametrize("option", ["encoders", "width"])
def test_counts_of_zero_are_refused(layers, option):
    with pytest.raises(UsageError, match=f"{option} must be a positive integer, found 0"):
        build(layers, **{option: 0})
