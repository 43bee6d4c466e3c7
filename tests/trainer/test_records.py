import pytest

from trainer.records import planned_columns
from trainer.spec import DomainShare, EvaluationSpec, TrainingSpec
from trainer.text import prepare_text
from trainer.text.languages import entropy_rates, languages, lexical_jaccard, syntax_distance
from trainer.text_spec import LanguagesText, TextSpec

SOURCE = LanguagesText(families=2, languages_per_family=2, bytes_per_language=60_000)
TEXT = TextSpec(source=SOURCE, teacher_share=0.0, shuffled=True)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare_text(TEXT, tmp_path_factory.mktemp("text") / TEXT.text_id)


def columns(spec, prepared, domains, **shares):
    mixture = tuple(DomainShare(domain=name.replace("_", "."), share=share) for name, share in shares.items())
    training, evaluation = TrainingSpec(tokens=4096, mixture=mixture), EvaluationSpec(domains=domains)
    run = spec(text=TEXT, training=training, evaluation=evaluation)
    return planned_columns(run, run.model, prepared, sweep="s", stage="t")


def test_entropy_and_likeness_of_artificial_languages_are_those_of_their_definition(spec, prepared):
    row = columns(spec, prepared, ("f0l0",), f0l0=0.2, f0l1=0.6, f1l0=0.2)
    spoken = languages(SOURCE)
    one, near, far = (spoken[name] for name in ("f0l0", "f0l1", "f1l0"))
    assert row["domain_entropy_bits_per_byte"] == entropy_rates(SOURCE)["f0l0"].entropy_bits_per_byte
    expected = 0.75 * syntax_distance(one, near) + 0.25 * syntax_distance(one, far)
    assert row["added_syntax_distance"] == pytest.approx(expected, rel=1e-12)
    assert row["added_lexical_jaccard"] == pytest.approx(0.75 * lexical_jaccard(one, near), rel=1e-12)
    assert row["added_lexical_jaccard"] > 0


@pytest.mark.parametrize(
    ("domains", "shares", "entropy"),
    [
        ((), {"f0l0": 0.5, "f0l1": 0.5}, False),
        (("f0l0",), {"f0l0": 1.0}, True),
        (("f0l0",), {"f0l0": 0.5, "f0l1_shuffled": 0.5}, True),
        (("f0l0.shuffled",), {"f0l0_shuffled": 0.5, "f0l1": 0.5}, False),
    ],
)
def test_what_is_not_known_is_null(spec, prepared, domains, shares, entropy):
    row = columns(spec, prepared, domains, **shares)
    assert (row["domain_entropy_bits_per_byte"] is not None) == entropy
    assert row["added_syntax_distance"] is None
    assert row["added_lexical_jaccard"] is None
