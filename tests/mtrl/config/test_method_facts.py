import pytest

from mtrl.config.method_facts import describe
from mtrl.config.registry import method_names, method_use


@pytest.mark.parametrize("name", method_names())
def test_every_entry_says_where_it_comes_from_and_when_to_use_it(name):
    entry = describe(name)
    assert entry.needs.split(" ")[0] in ("losses", "gradients")
    assert entry.use == method_use(name)
    assert entry.use
    assert not entry.use.endswith(".")
    if name != "mean":
        assert any(character.isdigit() for character in entry.paper), "no year"


@pytest.mark.parametrize(
    ("name", "needs", "state", "place"),
    [
        ("cagrad", "gradients (Gram)", "none", "equation 3"),
        ("cagrad_fast", "gradients (Gram)", "none", "equation 4"),
        ("moco", "gradients (all)", "simplex [K], rows [K, P]", "Algorithm 1"),
        ("moco_cagrad", "gradients (Gram)", "rows [K, P]", "equation 7"),
        ("cr_mgda", "gradients (Gram)", "smoothed [K]", "Algorithm 1"),
        ("gradvac", "gradients (Gram)", "target [K, K]", "equation 3"),
        ("gradnorm", "gradients (norms)", "task_weights [K], first_losses [K]", "equation 2"),
        ("famo", "losses", "logits [K], previous [K], lowest [K], moments [2, K]", "Algorithm 1"),
    ],
)
def test_entries_follow_from_the_classes(name, needs, state, place):
    entry = describe(name)
    assert (entry.needs, entry.state) == (needs, state)
    assert place in entry.places
