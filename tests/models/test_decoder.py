"""The causal language model: what its settings promise, how it is saved, and what it refuses."""

import json
from pathlib import Path

import pytest
import torch

from formarium.config import ConfigError
from formarium.errors import CheckpointError, DataError, FormariumError
from formarium.models import Decoder, load
from formarium.models.model import read_weights
from formarium.parts import Attention, FeedForward, RMSNorm


def config(**changes: object) -> Decoder.Config:
    return Decoder.Config(vocabulary=40, width=32, depth=2, heads=4).override(changes)


def test_parameters_follow_the_formula() -> None:
    d, h, depth, v, groups = 32, 96, 3, 40, 2
    built = config(depth=depth, kv_heads=2, **{"channel_mixer.hidden": h}).build()
    assert built.num_parameters() == v * d + depth * (d * d * (2 + 2 / groups) + 3 * d * h + 2 * d) + d
    assert built.num_parameters(embeddings=False) == built.num_parameters() - v * d
    assert config(tied=False).build().num_parameters() - config().build().num_parameters() == v * d


def test_initialisation_is_the_stated_one() -> None:
    torch.manual_seed(0)
    built = Decoder.Config(vocabulary=500, width=256, depth=8, heads=4, init_std=0.03).build()
    block = built.blocks[0]
    assert built.stem.weight.std().item() == pytest.approx(0.03, rel=0.05)
    assert block.token_mixer.qkv.weight.std().item() == pytest.approx(0.03, rel=0.05)
    assert block.channel_mixer.down.weight.std().item() == pytest.approx(0.03 / 4, rel=0.05)
    assert block.token_mixer.out.weight.abs().max().item() <= 3 * 0.03 / 4
    assert torch.equal(block.token_norm.weight, torch.ones(256))
    by_width = Decoder.Config(vocabulary=500, width=250, depth=1, heads=5).build()
    assert by_width.stem.weight.std().item() == pytest.approx(0.04, rel=0.05)


def test_packing_restarts_positions_and_padding_is_skipped() -> None:
    from formarium.models.decoder import places

    tokens = torch.zeros(1, 6, dtype=torch.long)
    assert places(tokens, torch.tensor([[0, 0, 1, 1, 1, 2]]), None).tolist() == [[0, 1, 0, 1, 2, 0]]
    assert places(tokens, None, torch.tensor([[False, False, True, True, True, True]])).tolist() == [[0, 0, 0, 1, 2, 3]]


def test_window_hides_what_is_further_back() -> None:
    built = config(depth=1, **{"token_mixer.window": 4}).build().eval()
    tokens = torch.randint(40, (1, 12))
    changed = tokens.clone()
    changed[0, 3] = (tokens[0, 3] + 1) % 40
    with torch.no_grad():
        difference = (built(tokens) - built(changed)).abs().amax(dim=(0, 2))
    assert (difference[3:7] > 0).all()
    assert torch.equal(difference[7:], torch.zeros(5))


def test_softcaps_bound_scores() -> None:
    built = config(softcap=2.0, **{"token_mixer.softcap": 1.0}).build()
    built.stem.weight.data *= 1000
    assert built(torch.randint(40, (1, 8))).abs().max() <= 2.0


def test_grouped_queries_equal_repeated_keys() -> None:
    grouped = Attention(32, 4, 2, causal=True)
    whole = Attention(32, 4, 4, causal=True)
    q, k, v = grouped.qkv.weight.data.split([32, 16, 16])
    repeated = [w.view(2, 8, 32).repeat_interleave(2, 0).reshape(32, 32) for w in (k, v)]
    whole.qkv.weight.data = torch.cat([q, *repeated])
    whole.out.load_state_dict(grouped.out.state_dict())
    from formarium.context import Context

    x, context = torch.randn(2, 6, 32), Context(positions=torch.arange(6)[None])
    torch.testing.assert_close(grouped(x, context), whole(x, context))


def test_saved_and_loaded_is_the_same_model(tmp_path: Path) -> None:
    built = config(position="CARoPE", channel_mixer="FeedForward(activation=PolyNorm)").build().eval()
    built.save_pretrained(tmp_path / "model")
    again = Decoder.from_pretrained(tmp_path / "model")
    tokens = torch.randint(40, (1, 9))
    assert again.config == built.config
    assert torch.equal(again.eval()(tokens), built(tokens))
    assert isinstance(load(tmp_path / "model"), Decoder)
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["config.json", "model.safetensors"]


def test_a_users_own_part_is_used_by_naming_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "import torch\n"
        "from formarium.config import BaseConfig\n"
        "from formarium.parts import Activation\n"
        "class Sine(Activation):\n"
        "    @dataclass(frozen=True)\n"
        "    class Config(BaseConfig):\n"
        "        frequency: float = 1.0\n"
        "    def __init__(self, config=None):\n"
        "        super().__init__()\n"
        "        self.frequency = (config or self.Config()).frequency\n"
        "    def forward(self, x):\n"
        "        return torch.sin(self.frequency * x)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    built = config(channel_mixer={"type": "FeedForward", "activation": {"type": "mine:Sine", "frequency": 2.0}}).build()
    assert built.blocks[0].channel_mixer.activation.frequency == 2.0
    built.save_pretrained(tmp_path / "model")
    assert Decoder.from_pretrained(tmp_path / "model").config == built.config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 5}, "cannot be split among 5 heads"),
        ({"kv_heads": 3}, "cannot share 3 key heads"),
        ({"depth": 0}, "at least 1"),
        ({"position": "RMSNorm"}, "'position' takes a Position, which RMSNorm is not"),
        ({"channel_mixer": "GELU"}, "takes a ChannelMixer"),
        ({"width": 12, "heads": 4}, "pairs of channels"),
        ({"token_mixer.window": 0}, "window"),
    ],
)
def test_what_cannot_be_built_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**changes).build()


def test_damaged_and_foreign_checkpoints_are_named(tmp_path: Path) -> None:
    built = config().build()
    built.save_pretrained(tmp_path)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        Decoder.from_pretrained(tmp_path)
    config(width=64).build().save_pretrained(tmp_path / "wide")
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "wide" / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="weights of another model: of another shape"):
        Decoder.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no weights"):
        Decoder.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(CheckpointError, match="no formarium model"):
        Decoder.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        Decoder.from_pretrained(tmp_path)
    with pytest.raises(DataError, match="there is no model configuration"):
        Decoder.from_pretrained(tmp_path / "nowhere")


def test_nothing_that_could_run_code_is_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (eval, ("__import__('pathlib').Path('pwned').touch()",))

    torch.save({"weight": torch.zeros(1), "evil": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="not a readable file of plain tensors"):
        read_weights(tmp_path / "evil.pt")
    assert not Path("pwned").exists()


def test_a_full_decoding_state_says_so() -> None:
    built = config().build()
    state = built.new_state(1, 3)
    built.step(torch.zeros(1, 3, dtype=torch.long), state)
    with pytest.raises(FormariumError, match="room for 3 tokens"):
        built.step(torch.zeros(1, 1, dtype=torch.long), state)


def test_positions_beyond_a_learned_table_are_named() -> None:
    built = config(position="Learned", max_length=8).build()
    with pytest.raises(ConfigError, match="reach to 7"):
        built(torch.zeros(1, 9, dtype=torch.long))


def test_blocks_placed_behind_norm_what_they_return() -> None:
    built = config(placement="post", norm="RMSNorm(gain=False)").build()
    x = built.hidden(torch.randint(40, (2, 5)))
    torch.testing.assert_close(x.square().mean(-1), torch.ones(2, 5), atol=1e-3, rtol=1e-3)


def test_surroundings_reach_what_asks_for_them() -> None:
    with pytest.raises(ConfigError, match="RMSNorm needs width"):
        RMSNorm.Config().build()
    assert FeedForward.Config().build(width=8, layer=3, unknown="thing").hidden == 32
