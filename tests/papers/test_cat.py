"""What CAT's claims measure with."""

import pytest
import torch

from formarium.lab.matching import count_parameters
from formarium.models import LinkPredictor
from formarium.papers import cat
from formarium.tasks import Links

DATA = "Geometries(branching=2, depth=3, cycles=2, cycle_length=8, grid=3)"


def made(**changes: object) -> tuple[LinkPredictor, Links]:
    task: Links = Links.Config().override({"data": DATA}).build()
    config = task.adapt(LinkPredictor.Config(width=12, heads=2, depth=1))
    model: LinkPredictor = config.override(changes).build()
    return model, task


def test_a_router_that_sends_trees_one_way_and_cycles_the_other_is_read_so() -> None:
    model, task = made()
    router = next(block.token_mixer.router for block in model.blocks)  # type: ignore[union-attr]

    def lean(way: float) -> dict[str, float]:
        """Embeddings say what an entity is by one channel, which the router turns into shares."""
        with torch.no_grad():
            model.entities.weight.zero_()
            for number, label in enumerate(task.graph.entities):
                model.entities.weight[number, 0] = {"tree": 1.0, "cycle": -1.0}.get(label.partition("_")[0], 0.0)
            router.up.weight.zero_()
            router.up.bias.zero_()
            router.down.weight.zero_()
            router.down.bias.zero_()
            router.up.weight[0, 0] = router.up.weight[1, 1] = 1
            router.up.weight[1, 0] = -1
            router.up.weight[1, 1] = 0
            router.down.weight[1, 0], router.down.weight[2, 1] = way, way
        return cat.what_routers_tell(model, task)

    there, back = lean(2.0), lean(-2.0)
    assert there["auc"] == pytest.approx(1.0)
    assert back["auc"] == pytest.approx(0.0)
    assert there["separation"] == back["separation"] == pytest.approx(1.0)
    assert there["tree_share_1"] > there["cycle_share_1"]


def test_a_model_without_a_router_is_not_read() -> None:
    assert cat.what_routers_tell(*made(token_mixer="Attention")) == {}
    assert cat.what_routers_tell(*made(token_mixer="Mixture(router=None)")) == {}


def test_a_router_that_does_not_look_tells_nothing_apart() -> None:
    model, task = made()
    for block in model.blocks:
        torch.nn.init.zeros_(block.token_mixer.router.down.weight)  # type: ignore[union-attr]
    found = cat.what_routers_tell(model, task)
    assert found["auc"] == pytest.approx(0.5)
    assert found["separation"] == pytest.approx(0.5)


def test_overhead_is_what_counting_gives() -> None:
    checks = cat.overhead(0, width=16, depth=2, heads=2)
    base = LinkPredictor.Config(entities=14541, relations=237, width=16, depth=2, heads=2)
    flat = base.override({"token_mixer": "Attention"})
    wanted = count_parameters(base) / count_parameters(flat) - 1
    assert checks[0]["value"] == pytest.approx(wanted)
    blocks = 2 * (count_parameters(flat.replace(depth=3)) - count_parameters(flat))
    wide = base.replace(entities=40943, relations=11)
    grown = count_parameters(wide) - count_parameters(wide.override({"token_mixer": "Attention"}))
    alone = next(check for check in checks if "alone" in check["name"])
    assert alone["value"] == pytest.approx(grown / blocks)
    assert not cat.overhead(0, width=256, depth=2, heads=8)[0]["holds"], "at this size it is more than 7.5 %"


def test_questions_are_timed_whole_and_without_scores() -> None:
    found = cat.query_seconds(0, entities=2000, width=16, depth=1, heads=2, batch=8, repeats=2)
    assert set(found) == {"CAT", "Euclidean", "hyperbolic", "spherical", "three flat branches"}
    assert all(times["without_scores"] > 0 for times in found.values())
    assert all(times["seconds"] > 0 for times in found.values())
