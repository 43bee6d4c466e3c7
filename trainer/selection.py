"""Which windows of a domain a run is trained on: some drawn at random, or the most or least usual ones of all.

How usual a window is, an n-gram model says that has learnt from the domain's teacher split: documents that are neither trained
on nor evaluated, so that the filter knows neither what it judges nor what the run is judged by. Validation documents are held
out before, so that a filter does not change the test.

After CCNet, Wenzek et al. (2020), arXiv:1911.00359, where the model is KenLM and its text Wikipedia; the highest perplexity is
the negative control.
"""

from functools import cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from curselab.errors import InputError
from trainer.spec import DomainShare
from trainer.text.ngrams import KneserNey
from trainer.text.prepared import PreparedText

REFERENCE_TOKENS = 1_000_000
"""First tokens of the teacher split that the filter learns from, at most."""
_DRAWN = 1  # number of the random stream


def choose(part: DomainShare, text: PreparedText, *, split: str, context: int, seed: int) -> NDArray[np.int64]:
    """Numbers of the windows of a domain that its selection keeps, ``part.tokens`` in all; more tokens keep the same and more.

    Parameters
    ----------
    part : DomainShare
        With tokens, and a selection other than ``first``.
    text : PreparedText
    split : str
        Split that is trained on.
    context : int
        Tokens of a window.
    seed : int
        Of the run, for ``drawn``.

    Raises
    ------
    InputError
        The split has fewer windows.
    """
    there, wanted = max(0, text.n_tokens(split, part.domain) - 1) // context, part.tokens // context
    if not 1 <= wanted <= there:
        raise InputError(
            f"text {text.meta['text_id']}: {part.tokens} tokens of domain {part.domain!r} were asked for, its {split} split "
            f"has {there} windows of {context}; give more text or change the tokens in training.mixture"
        )
    if part.selection == "drawn":
        return np.random.default_rng((seed, crc32(part.domain.encode()), _DRAWN)).permutation(there)[:wanted]
    usual_first = np.argsort(window_nats(text, part.domain, split, context), kind="stable")
    return usual_first[:wanted] if part.selection == "lowest_perplexity" else usual_first[::-1][:wanted]


@cache
def window_nats(text: PreparedText, domain: str, split: str, context: int) -> NDArray[np.float64]:
    """Mean surprise of the targets of each window under the n-gram model of the teacher split, nats/token, (n_windows,)."""
    model = KneserNey(text.tokens(domain, "teacher")[:REFERENCE_TOKENS], vocab_size=text.vocab_size)
    nats = model.nats(text.tokens(domain, split))[1:]
    windows = len(nats) // context
    return nats[: windows * context].reshape(windows, context).mean(axis=1)
