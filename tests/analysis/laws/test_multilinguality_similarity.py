import numpy as np
import pandas as pd
import pytest

from analysis.laws.multilinguality_similarity import alike, explained, sets_of, similarity, trigram_overlap
from curselab.errors import InputError

MEASURES = ["syntax_knn_cos", "geo_cos", "ln_trigrams"]


@pytest.fixture(scope="module")
def pairs(pytestconfig):
    path = pytestconfig.rootpath.parent / "shared/data/published/multilinguality_similarity.csv"
    if not path.is_file():
        pytest.skip("shared/ with published data is absent beside the checkout")
    table = pd.read_csv(path)
    return table.assign(ln_trigrams=np.log(table["shared_top3000_char_trigrams"] + 1))


def test_the_paper_s_rule_gives_the_table_s_own_means(pairs):
    """Computed independently for 26 languages, to four digits."""
    matrix = similarity(pairs, MEASURES)
    ours = [matrix.loc[a, b] for a, b in zip(pairs["lang_a"], pairs["lang_b"], strict=True)]
    np.testing.assert_allclose(ours, pairs["mean_z_syntax_geo_lexical"], atol=6e-4)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.isnan(np.diag(matrix)).all()


def test_the_most_and_the_least_alike_are_the_note_s(pairs):
    """German's neighbours: nl da en sv it; its opposites: ja ko vi hi zh."""
    most, least = sets_of(similarity(pairs, MEASURES), "deu", 5)
    assert set(most) == {"nld", "dan", "eng", "swe", "ita"}
    assert set(least) == {"jpn", "kor", "vie", "hin", "cmn"}
    some = sets_of(similarity(pairs, MEASURES), "deu", 1, among=["jpn", "nld"])
    assert some == (["nld"], ["jpn"])


def test_a_missing_measure_is_the_mean():
    """By hand: z of 0, 1, 2 are -1.2247, 0, 1.2247; the missing pair is 0."""
    pairs = pd.DataFrame(
        [("a", "b", 0.0), ("a", "c", 1.0), ("b", "c", 2.0), ("a", "d", np.nan)], columns=["lang_a", "lang_b", "x"]
    )
    matrix = similarity(pairs, ["x"])
    assert matrix.loc["b", "a"] == pytest.approx(-np.sqrt(1.5))
    assert matrix.loc["a", "d"] == matrix.loc["c", "a"] == 0
    pd.testing.assert_frame_equal(similarity(pairs.assign(same=1.0), ["x", "same"]), matrix / 2)
    with pytest.raises(InputError, match="column 'y' is missing"):
        similarity(pairs, ["y"])
    with pytest.raises(InputError, match="target: 'e' was given"):
        sets_of(matrix, "e", 1)
    with pytest.raises(InputError, match="1 to 3 languages"):
        sets_of(matrix, "a", 4)


def test_trigrams_by_hand():
    """Abcd has abc, bcd; bcde has bcd, cde; xyz shares none."""
    table = trigram_overlap({"one": "abcd", "two": "bcde", "three": "xyz"}).set_index(["lang_a", "lang_b"])["shared_trigrams"]
    assert table.to_dict() == {("one", "three"): 0, ("one", "two"): 1, ("three", "two"): 0}
    only = trigram_overlap({"a": "ababab" + "xyz", "b": "xyzxyz" + "aba"}, top=1)
    assert only["shared_trigrams"].tolist() == [0]


def test_texts_of_one_family_overlap_more(shared):
    """Zulu and Swahili are Bantu; Basque and Estonian are not related to each other or to them."""
    folder = shared / "corpora/bible_nt"
    texts = {code: (folder / f"{code}.txt").read_text(encoding="utf-8")[:200_000] for code in ("zul", "swh", "eus", "ukr")}
    overlap = trigram_overlap(texts).set_index(["lang_a", "lang_b"])["shared_trigrams"]
    assert overlap["swh", "zul"] > overlap["eus", "zul"] > overlap["ukr", "zul"]


def test_family_and_script_from_a_table_of_languages(shared):
    found = alike(pd.read_csv(shared / "corpora/bible_nt/languages.csv")).set_index(["lang_a", "lang_b"])
    assert len(found) == 24 * 23 / 2
    assert found.loc[("swh", "zul")].tolist() == [1, 1, 1]
    assert found.loc[("kab", "shi"), ["same_family", "same_script"]].tolist() == [1, 0]
    assert np.isnan(found.loc[("acu", "agr"), "same_genus"])
    assert list(similarity(found.reset_index(), ["same_family", "same_script"]).loc["zul"].drop("zul").nlargest(1).index) == [
        "ewe"
    ]
    with pytest.raises(InputError, match="one of the columns family, genus, script"):
        alike(pd.DataFrame({"code": ["a", "b"]}))


def test_explained_variance_is_a_library_s():
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    predictors = pd.DataFrame(rng.standard_normal((20, 2)), columns=["syntax", "geo"])
    gains = pd.Series(predictors["syntax"] + rng.standard_normal(20))
    table = explained(gains, predictors).set_index("predictors")
    for subset in (["syntax"], ["geo"], ["syntax", "geo"]):
        peer = sm.OLS(gains, sm.add_constant(predictors[subset])).fit()
        assert table.loc["+".join(subset), "r2"] == pytest.approx(peer.rsquared)
        assert table.loc["+".join(subset), "adjusted_r2"] == pytest.approx(peer.rsquared_adj)
    assert table.loc["syntax", "r"] ** 2 == pytest.approx(table.loc["syntax", "r2"])
    with pytest.raises(InputError, match="4 or more are needed"):
        explained(gains[:3], predictors)
