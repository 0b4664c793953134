"""What the golden cases of PPGT do not reach: directed graphs, and widths that a ratio does not give exactly."""

import torch

from formarium import official


def test_a_directed_graph_is_walked_both_ways_and_a_weighted_one_by_its_weights() -> None:
    directed = torch.tensor([[0.0, 1, 0], [0, 0, 3], [0, 0, 0]]).double()
    weighted = torch.tensor([[0.0, 1, 0], [1, 0, 3], [0, 3, 0]]).double()
    walk = official.load("ppgt", "rrwp", {"ksteps": 1, "sym_norm": False}, {})
    found = walk(adj=torch.stack((directed, weighted)))["rrwp"][..., 1]
    first = torch.tensor([[0, 1, 0], [0.5, 0, 0.5], [0, 1, 0]]).double()
    second = torch.tensor([[0, 1, 0], [0.25, 0, 0.75], [0, 1, 0]]).double()
    torch.testing.assert_close(found, torch.stack((first, second)))


def test_the_inner_width_of_a_layer_is_that_of_its_weights() -> None:
    config = {"dim": 16, "num_heads": 4, "pair_dim": 12, "l2dist": True, "urpe": True, "qk_scale": 1.0}
    config |= {"ffn_ratio": 8 / 3, "norm_eps": 1e-6}
    inner = int(16 * 8 / 3)
    shapes = {"attention.Q": (16, 16), "attention.KV": (32, 16), "attention.O": (16, 16), "attention.P": (8, 12)}
    shapes |= {"FFN.0": (inner, 16), "FFN.4": (16, inner)}
    state = {f"{name}.weight": torch.randn(shape).double() for name, shape in shapes.items()}
    state |= {f"{name}.bias": torch.randn(shape[0]).double() for name, shape in shapes.items()}
    norms = [f"norm{i}_h.norm_layer.{end}" for i in (1, 2) for end in ("alpha", "beta")]
    state |= {name: torch.randn(16).double() for name in norms}
    x, pair, mask = torch.randn(2, 5, 16).double(), torch.randn(2, 5, 5, 12).double(), torch.ones(2, 5).bool()
    y = official.load("ppgt", "layer", config, state)(x=x, pair=pair, mask=mask)["y"]
    same = state | {"FFN.0.weight": torch.cat((state["FFN.0.weight"], torch.zeros(1, 16).double()))}
    same |= {"FFN.0.bias": torch.cat((state["FFN.0.bias"], torch.zeros(1).double()))}
    same |= {"FFN.4.weight": torch.cat((state["FFN.4.weight"], torch.randn(16, 1).double()), dim=1)}
    wider = official.load("ppgt", "layer", config, same)  # a channel that is always 0 changes nothing
    torch.testing.assert_close(wider(x=x, pair=pair, mask=mask)["y"], y, atol=1e-12, rtol=1e-12)
