import numpy as np
import pandas as pd
import pytest

from analysis.laws.multilinguality_atlas import TABLE_C1, TransferLaw
from curselab.errors import InputError


def test_constants_are_the_rows_of_the_published_table(root):
    table = pd.read_csv(root / "results/published/multilinguality.csv").set_index(["law", "symbol"])
    laws = [(regime, language) for regime, languages in TABLE_C1.items() for language in languages]
    assert len(laws) == 18
    for regime, language in laws:
        law = TransferLaw.published(language, regime)
        for constant in law.coefficients:
            row = table.loc[(f"atlas_2025_{regime}_{language}", constant.symbol)]
            assert (constant.value, constant.unit, law.trust) == (row["value"], row["unit"], row["trust"])


def test_every_row_loads_and_predicts():
    """By hand from table C.1, at 1e9 parameters and 1e11 tokens."""
    english = TransferLaw.published("en")
    assert english.loss(1e9, 1e11) == pytest.approx(
        0.67 + np.exp(6.18 - 0.41 * np.log(1e9)) + np.exp(8.25 - 0.41 * np.log(1e11))
    )
    for regime, languages in TABLE_C1.items():
        for language in languages:
            law = TransferLaw.published(language, regime)
            losses = law.loss([1e8, 1e9, 1e9], [1e10, 1e10, 1e11])
            assert (np.diff(losses) < 0).all()
            assert 0.3 < losses[-1] < 4


def test_effective_tokens_by_hand():
    law = TransferLaw.published("en", decay=1.0, transfer={"fr": 0.5, "ja": -0.1}, transfer_other=0.05)
    found = law.effective_tokens(30.0, {"fr": 10.0, "ja": 20.0, "sw": 40.0}, unique=10.0)
    assert found == pytest.approx(18.646647 + 5 - 2 + 2, abs=5e-7)
    assert law.effective_tokens(30.0, {"fr": 30.0}, added_unique={"fr": 10.0}) == pytest.approx(30 + 0.5 * 18.646647, abs=5e-7)
    assert TransferLaw.published("sw").effective_tokens(1e9) == 1e9


def test_what_the_paper_does_not_print_is_asked_for():
    with pytest.raises(InputError, match="lambda is needed"):
        TransferLaw.published("en").effective_tokens(30.0, unique=10.0)
    with pytest.raises(InputError, match="languages: en, fr, ru, zh, hi, sw"):
        TransferLaw.published("de")
