import pytest
import torch

from formarium.config import ConfigError, parse
from formarium.models import ComplEx, DistMult, RotatE, TripleScorer, load

MODELS = ("DistMult", "ComplEx", "RotatE", "RotatE(norm=2)", "LinkPredictor(depth=1, heads=2)")


def build(text: str, **settings: object) -> TripleScorer:
    torch.manual_seed(0)
    model: TripleScorer = parse(text).override({"entities": 17, "relations": 3, "width": 8, **settings}).build()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model.double().eval()


HEADS, RELATIONS = torch.tensor([0, 5, 16]), torch.tensor([0, 2, 5])  # the last relation is a reciprocal one


@pytest.mark.parametrize("text", MODELS)
def test_given_tails_get_the_scores_they_get_among_all(text: str, tmp_path) -> None:
    model = build(text)
    scores = model(HEADS, RELATIONS)
    assert scores.shape == (3, 17)
    tails = torch.randint(17, (3, 4))
    torch.testing.assert_close(model(HEADS, RELATIONS, tails), scores.gather(1, tails))
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(load(tmp_path).double().eval()(HEADS, RELATIONS), scores, atol=1e-5, rtol=1e-5)


def test_scores_are_the_formulas_of_the_papers() -> None:
    distmult, complex_, rotate = build("DistMult"), build("ComplEx"), build("RotatE(margin=4.0)")
    for i, (h, r) in enumerate(zip(HEADS, RELATIONS, strict=True)):
        for t in range(17):
            assert isinstance(distmult, DistMult)
            e, w = distmult.entities.weight, distmult.relations.weight
            torch.testing.assert_close(distmult(HEADS, RELATIONS)[i, t], (e[h] * w[r] * e[t]).sum())
            assert isinstance(complex_, ComplEx)
            e, w = (torch.complex(*x.weight.chunk(2, dim=1)) for x in (complex_.entities, complex_.relations))
            torch.testing.assert_close(complex_(HEADS, RELATIONS)[i, t], (e[h] * w[r] * e[t].conj()).sum().real)
            assert isinstance(rotate, RotatE)
            e = torch.complex(*rotate.entities.weight.chunk(2, dim=1))
            turned = e[h] * torch.polar(torch.ones(4).double(), rotate.relations.weight[r])
            torch.testing.assert_close(rotate(HEADS, RELATIONS)[i, t], 4 - (turned - e[t]).abs().sum())


def test_rotate_scores_all_entities_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("RotatE")
    parameters = list(model.parameters())
    whole = model(HEADS, RELATIONS)
    gradients = torch.autograd.grad(whole.sin().sum(), parameters)
    monkeypatch.setattr("formarium.models.knowledge_embeddings._NUMBERS", 50)
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: (kept.append(x), x)[1], lambda x: x):
        pieces = model(HEADS, RELATIONS)
    torch.testing.assert_close(pieces, whole)
    torch.testing.assert_close(torch.autograd.grad(pieces.sin().sum(), parameters), gradients)
    assert all(x.numel() < whole.numel() * model.config.width for x in kept), "all differences are kept"


@pytest.mark.parametrize("text", ["RotatE", "RotatE(norm=2)"])
def test_gradients_are_finite_where_a_tail_is_hit(text: str) -> None:
    model = build(text)
    assert isinstance(model, RotatE)
    with torch.no_grad():
        model.relations.weight.zero_()
    model(HEADS, RELATIONS).sum().backward()  # each head stands among its own tails
    model(HEADS, RELATIONS, HEADS[:, None]).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_nuclear_norm_counts_each_factor_of_a_triple_once_over_both_directions() -> None:
    model = build("ComplEx(n3=0.5)")
    assert isinstance(model, ComplEx)
    penalties: list[torch.Tensor] = []
    heads, tails, relation = torch.tensor([2]), torch.tensor([7]), torch.tensor([1])
    model(heads, relation, penalties=penalties)
    model(tails, relation + 3, penalties=penalties)
    e, w = (torch.complex(*x.weight.chunk(2, dim=1)).abs() ** 3 for x in (model.entities, model.relations))
    forward = e[2].sum() + w[1].sum() + e[7].sum()
    back = e[7].sum() + w[4].sum() + e[2].sum()
    torch.testing.assert_close(sum(penalties), 0.5 * (forward + back))
    fresh: list[torch.Tensor] = []
    build("ComplEx")(heads, relation, penalties=fresh)
    assert not fresh


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="even"):
        build("ComplEx", width=7)
    with pytest.raises(ConfigError, match="n3"):
        build("RotatE(n3=0.1)")
    with pytest.raises(ConfigError, match="init_std is for other models"):
        build("RotatE(init_std=0.1)")
    with pytest.raises(ConfigError, match="at least 1"):
        build("DistMult", entities=0)


def test_distances_of_all_entities_are_those_of_each() -> None:
    """Also of vectors that are long and close, whose squares cancel."""
    torch.manual_seed(0)
    model = RotatE(RotatE.Config(entities=40, relations=3, width=64, norm=2))
    with torch.no_grad():
        model.entities.weight[1:] = model.entities.weight[0] * 30 + 1e-2 * torch.randn(39, 64)
        model.relations.weight.zero_()
    heads, relations = torch.arange(40), torch.zeros(40, dtype=torch.long)
    every = model(heads, relations)
    listed = model(heads, relations, heads.expand(40, -1))
    torch.testing.assert_close(every, listed, rtol=0, atol=2e-5)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(heads, relations).float(), listed, rtol=0, atol=2e-2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ComplEx(dropout=2)", "dropout is a share from 0 to 1, not 2"),
        ("DistMult(dropout=nan)", "dropout is a share from 0 to 1"),
        ("ComplEx(n3=-1)", "n3 is a finite number from 0 on, not -1"),
        ("LinkPredictor(n3=inf)", "n3 is a finite number from 0 on"),
        ("LinkPredictor(dropout=-1)", "dropout is a share"),
        ("RotatE(margin=inf)", "the margin of RotatE"),
        ("RotatE(margin=-9)", "the margin of RotatE"),
        ("ComplEx(init_std=-1)", "std"),
        ("ComplEx(init_std=nan)", "std"),
    ],
)
def test_settings_that_mean_nothing_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text).build()
