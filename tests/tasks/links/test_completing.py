import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from formarium.cli import main as program
from formarium.config import ConfigError
from formarium.errors import DataError
from formarium.models import LinkPredictor
from formarium.tasks.links.completing import Completer
from formarium.tasks.links.geometry import branch_names, graph_shares, sequence_shares
from formarium.tasks.links.geometry_report import corners, summary, write_html
from formarium.tasks.links.task import Links


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model whose entities have readable names, some of them shared."""
    where = tmp_path_factory.mktemp("kept")
    names = where / "names.tsv"
    names.write_text("tree_0\tthe root\ncycle_0_0\ta <b>twin</b>\ncycle_0_1\ta <b>twin</b>\n")
    data = "Geometries(branching=2, depth=2, cycles=1, cycle_length=6, grid=3)"
    task: Links = Links.Config().override({"data": data, "names": str(names)}).build()
    config = task.adapt(LinkPredictor.Config(width=12, heads=3, init_std=0.3))
    torch.manual_seed(0)
    model = config.build()
    model.save_pretrained(where / "model")
    task.save(where / "model")
    return where / "model"


def test_answers_are_the_best_scored_and_say_what_is_known(folder: Path) -> None:
    completer = Completer.load(folder)
    words, model = completer.vocabulary, completer.model
    triples = {tuple(t) for t in completer.training_triples().tolist()}
    head, relation = words.entity("tree_3"), words.relation("tree_1")
    scores = model(torch.tensor([head]), torch.tensor([relation]))[0]
    answers = completer.complete("tree_3", "tree_1", None, top=100)
    assert [a.label for a in answers] == [words.entities[i] for i in scores.argsort(descending=True)]
    assert [a.score for a in answers] == sorted(scores.tolist(), reverse=True)
    for answer in answers:
        assert answer.known == ((head, relation, words.entity(answer.label)) in triples)
        assert answer.name == words.names.get(answer.label, answer.label)
    new = completer.complete("tree_3", "tree_1", None, top=100, only_new=True)
    assert new == [a for a in answers if not a.known]


def test_heads_and_relations_are_found_too(folder: Path) -> None:
    completer = Completer.load(folder)
    words, model = completer.vocabulary, completer.model
    count = len(words.relations)
    tail, relation = words.entity("the root"), words.relation("tree_1")
    back = completer.complete(None, "tree_1", "the root", top=3)
    scores = model(torch.tensor([tail]), torch.tensor([relation + count]))[0]
    assert [a.label for a in back] == [words.entities[i] for i in scores.argsort(descending=True)[:3]]
    kinds = completer.complete("tree_1", None, "the root")
    head = words.entity("tree_1")

    def chance(start: int, kind: int, end: int) -> float:
        return float(model(torch.tensor([start]), torch.tensor([kind]))[0].log_softmax(-1)[end])

    one = {r: chance(head, r, tail) + chance(tail, r + count, head) for r in range(count)}
    assert [a.score for a in kinds] == pytest.approx(sorted(one.values(), reverse=True), rel=1e-5)
    assert [a.label for a in kinds] == [words.relations[r] for r in sorted(one, key=one.__getitem__, reverse=True)]
    triples = {tuple(t) for t in completer.training_triples().tolist()}
    known = {words.relations[r] for r in range(count) if (words.entity("tree_1"), r, tail) in triples}
    assert {a.label for a in kinds if a.known} == known


def test_questions_that_cannot_be_answered(folder: Path, tmp_path: Path) -> None:
    completer = Completer.load(folder)
    for given in (("tree_1", "tree_1", "tree_0"), ("tree_1", None, None), (None, None, None)):
        with pytest.raises(ConfigError, match="name two"):
            completer.complete(*given)
    with pytest.raises(DataError, match="did you mean 'the root'"):
        completer.complete("the roof", "tree_1", None)
    with pytest.raises(DataError, match=r"no entity.*'z'"):
        completer.complete("z", "tree_1", None)
    with pytest.raises(DataError, match="cycle_0_0, cycle_0_1; write the label"):
        completer.complete("a <b>twin</b>", "cycle_1", None)
    for name in ("config.json", "model.safetensors", "entities.tsv", "relations.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert not any(a.known for a in Completer.load(tmp_path).complete("tree_1", "tree_1", None))
    with pytest.raises(DataError, match="were not kept"):
        Completer.load(tmp_path).training_triples()
    (tmp_path / "triples.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match="damaged"):
        Completer.load(tmp_path)
    (tmp_path / "triples.npy").unlink()
    (tmp_path / "entities.tsv").write_text("one\n")
    with pytest.raises(DataError, match="beside it"):
        Completer.load(tmp_path)


def test_shares_are_means_over_the_questions_of_training(folder: Path) -> None:
    completer = Completer.load(folder)
    words, model, triples = completer.vocabulary, completer.model, completer.training_triples()
    assert isinstance(model, LinkPredictor)
    shares = graph_shares(model, triples, words)
    assert shares.branches == ("Euclidean", "hyperbolic", "spherical")
    np.testing.assert_allclose(shares.by_layer.sum(-1), 1, atol=1e-6)
    assert shares.by_layer.shape[0] == 2
    relations = len(words.relations)
    questions = [(h, r) for h, r, _ in triples.tolist()] + [(t, r + relations) for _, r, t in triples.tolist()]
    entity = words.entity("tree_1")
    own = [q for q in questions if q[0] == entity]
    found = []
    mixture = model.blocks[1].token_mixer
    for h, r in own:
        hook = mixture.router.register_forward_hook(lambda m, i, o: found.append(o[0, 1].detach()))
        model.query(torch.tensor([h]), torch.tensor([r]))
        hook.remove()
    at = [i for i in shares.of("entity") if shares.labels[i] == "tree_1"]
    assert shares.counts[at[0]] == len(own)
    np.testing.assert_allclose(shares.by_layer[1, at[0]], torch.stack(found).mean(0).numpy(), atol=1e-6)
    assert {shares.labels[i] for i in shares.of("relation")} == {
        *words.relations,
        *(f"{r} (back)" for r in words.relations),
    }


def test_shares_with_a_cls_token_are_those_of_the_right_tokens() -> None:
    task: Links = Links.Config().override({"data": "Geometries(branching=2, depth=2, cycles=0, grid=0)"}).build()
    model = task.adapt(LinkPredictor.Config(width=12, heads=3, depth=1, cls=True, init_std=0.3)).build().eval()
    shares = graph_shares(model, task.graph.splits["train"], task.vocabulary)
    entity = shares.of("entity")[0]
    number = task.vocabulary.entity(shares.labels[entity])
    block = model.blocks[0]
    token = block.token_norm(model.entities(torch.tensor([number])) + model.position.weight[1])
    np.testing.assert_allclose(shares.mean[entity], block.token_mixer.router(token)[0].detach().numpy(), atol=1e-5)


def test_models_without_a_router_have_no_shares() -> None:
    with pytest.raises(DataError, match="no router"):
        branch_names(LinkPredictor(LinkPredictor.Config().override({"token_mixer": "Attention"})))
    flat = "Mixture(branches=(Attention, Attention, HyperbolicAttention))"
    names = branch_names(LinkPredictor(LinkPredictor.Config().override({"token_mixer": flat})))
    assert names == ("Euclidean 1", "Euclidean 2", "hyperbolic")


def test_a_page_shows_every_token_and_escapes_names(folder: Path, tmp_path: Path) -> None:
    completer = Completer.load(folder)
    assert isinstance(completer.model, LinkPredictor)
    shares = graph_shares(completer.model, completer.training_triples(), completer.vocabulary)
    write_html(shares, tmp_path / "page.html", "a <i>title</i>")
    page = (tmp_path / "page.html").read_text()
    assert "a &lt;i&gt;title&lt;/i&gt;" in page
    assert "<b>twin" not in page
    assert "the root" in page
    assert "src=" not in page.replace('src=""', "").partition("<body>")[2]
    facts = summary(shares, 2)["kinds"]["entity"]
    assert sum(facts["largest"]) == pytest.approx(1)
    assert all(len(rows) == 2 for rows in facts["most"].values())
    for count in (1, 2, 3, 4):
        assert corners(count).shape == (count, 2)


def test_language_models_have_shares_too() -> None:
    from formarium.models import Decoder
    from formarium.parts import Mixture

    model = Decoder(Decoder.Config(vocabulary=11, width=12, heads=3, depth=2, token_mixer=Mixture.Config()))
    shares = sequence_shares(model, torch.tensor([[3, 1, 4]]), ["c", "a", "d"])
    assert shares.labels == ("c", "a", "d")
    assert shares.by_layer.shape == (2, 3, 3)
    np.testing.assert_allclose(shares.mean.sum(-1), 1, atol=1e-6)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["formarium", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        program.main()
    return int(ended.value.code or 0)


def test_commands_answer(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("predict-links", folder, "--head", "tree_3", "--relation", "tree_1", "--top", 2)
    assert run(monkeypatch, *asked) == 0
    assert len(capsys.readouterr().out.strip().splitlines()) == 3
    assert run(monkeypatch, *asked, "--json") == 0
    assert [set(a) for a in json.loads(capsys.readouterr().out)] == [{"label", "name", "score", "known"}] * 2
    assert run(monkeypatch, "predict-links", folder, "--head", "the roof", "--relation", "tree_1") == 2
    assert "did you mean 'the root'" in capsys.readouterr().err
    assert run(monkeypatch, "curvature", folder, "--html", tmp_path / "page.html", "--json") == 0
    assert json.loads(capsys.readouterr().out)["branches"] == ["Euclidean", "hyperbolic", "spherical"]
    assert (tmp_path / "page.html").is_file()
    assert run(monkeypatch, "curvature", folder) == 0
    assert "most hyperbolic" in capsys.readouterr().out
    assert run(monkeypatch, "curvature", tmp_path) == 2


def test_scores_that_are_no_numbers_come_last() -> None:
    names = [(label, label) for label in "abcd"]
    scores = torch.tensor([0.5, float("nan"), float("-inf"), 1.0])
    best = Completer._best(scores, torch.zeros(4, dtype=torch.bool), names, 4, False)
    assert [answer.label for answer in best] == ["d", "a", "c", "b"]


def test_what_is_asked_for_is_named_and_counted(folder: Path) -> None:
    completer = Completer.load(folder)
    label, relation = completer.vocabulary.entities[0], completer.vocabulary.relations[0]
    with pytest.raises(ConfigError, match="at least one answer is asked for, not -1"):
        completer.complete(label, relation, None, top=-1)
    with pytest.raises(DataError, match="are named by texts, not as 3"):
        completer.complete(label, 3, None)  # type: ignore[arg-type]
