"""What is written for a command line is read there as the same value."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st

from mtrl.config.literals import literal, quoted

TEXTS = (
    st.text() | st.text(alphabet="\\'\"a${},: ") | st.sampled_from(["1", "null", "True", "1e3", "-inf", "."])
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
KEYS = st.from_regex(r"[A-Z][a-z:., -]*-v[0-9]", fullmatch=True)
PARSER = OverridesParser.create()


def read(text):
    return PARSER.parse_override(f"option={text}").value()


@given(TEXTS)
@example("th/a\\b")
@example("ends\\\\")
@example("\\'")
def test_a_text_is_read_as_it_is(text):
    assert read(quoted(text)) == text


@given(
    st.recursive(
        PLAIN,
        lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
        max_leaves=8,
    )
)
@example(["1", "null", "my sweep"])
@example({"Pendulum-v1": {"g": 5.0}, "package:Id-v0": "true"})
def test_texts_within_lists_and_mappings_keep_their_type(value):
    found = read(literal(value))
    assert found == value
    assert repr(found) == repr(value)


@pytest.mark.parametrize("text", ["cagrad", "runs/a-b_1.2", "HalfCheetah-v5", "/tmp/0"])
def test_a_usual_name_needs_no_quotes(text):
    assert literal(text) == text
