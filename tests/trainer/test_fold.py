import pytest
import torch

from tests.trainer.test_norms import model_spec, shaken
from trainer.fold import fold
from trainer.model import Decoder


@pytest.mark.parametrize("scheme", ["lns", "lns_gamma_init"])
@pytest.mark.parametrize("norm", ["rms", "layer"])
def test_a_folded_model_is_pre_norm_and_has_the_same_logits(scheme: str, norm: str) -> None:
    tokens = torch.randint(61, (2, 12), generator=torch.Generator().manual_seed(0))
    model = shaken(model_spec(scheme, norm=norm)).float()
    folded = fold(model)
    assert folded.spec.scheme == "pre"
    assert float((folded(tokens) - model(tokens)).detach().abs().max()) <= 1e-6
    unfolded = Decoder(folded.spec, 61, seed=0)
    unfolded.load_state_dict(model.state_dict())
    same = torch.equal(unfolded(tokens), folded(tokens))
    assert same == (scheme == "lns_gamma_init")


def test_other_schemes_do_not_fold() -> None:
    with pytest.raises(ValueError, match="scheme peri: only lns"):
        fold(Decoder(model_spec("peri"), 61, seed=0))
