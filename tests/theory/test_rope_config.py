import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from formarium.config import ConfigError
from formarium.errors import DataError, FormariumError
from formarium.models import Decoder
from formarium.parts import RoPE
from formarium.parts.positions import rope_scaling as scalings
from formarium.theory.rope_bounds import similarity_length
from formarium.theory.rope_config import RotaryModel, plain_model, read_rotary, scaling_from, with_changes

LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "max_position_embeddings": 4096,
    "rope_theta": 10000.0,
}
OMEGA = 1e4 ** (-np.arange(0, 128, 2) / 128)


def read(**changes: Any) -> RotaryModel:
    return read_rotary({k: v for k, v in (LLAMA | changes).items() if v != "absent"})


def only(**changes: Any) -> Any:
    (kind,) = read(**changes).kinds
    return kind


def test_a_plain_configuration():
    model = read()
    (kind,) = model.kinds
    assert (model.name, model.length, model.layers, model.unrotated) == ("llama", 4096, 32, 0)
    assert (kind.base, kind.head_width, kind.rotated, kind.layers, kind.window) == (10000.0, 128, 128, 32, None)
    assert kind.frequencies() == pytest.approx(OMEGA)
    assert kind.effective_base() == pytest.approx(8660, abs=1)
    assert kind.channels == pytest.approx(128)


@pytest.mark.parametrize(
    ("changes", "base", "rotated"),
    [
        ({"head_dim": 64}, 1e4, 64),
        ({"head_dim": None}, 1e4, 128),
        ({"partial_rotary_factor": 0.5}, 1e4, 64),
        ({"rotary_pct": 0.25, "rope_theta": "absent", "rotary_emb_base": 20000}, 2e4, 32),
        ({"rotary_dim": 32}, 1e4, 32),
        ({"qk_rope_head_dim": 64, "qk_nope_head_dim": 128}, 1e4, 64),
        ({"rope_theta": "absent", "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, 5e5, 128),
        ({"rope_parameters": {"rope_theta": 5e5, "partial_rotary_factor": 0.25}}, 5e5, 32),
        ({"model_type": "unknown", "rope_theta": 10000}, 1e4, 128),
        ({"model_type": "chatglm", "rope_theta": "absent", "rope_ratio": 50, "kv_channels": 128}, 5e5, 64),
        ({"rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}}, 1e4, 128),
        ({"num_hidden_layers": "absent", "n_layer": 32, "hidden_size": "absent", "n_embd": 4096}, 1e4, 128),
    ],
)
def test_spellings_of_base_and_rotated_channels(changes, base, rotated):
    kind = only(**changes)
    assert (kind.base, kind.rotated, kind.layers) == (base, rotated, 32)


def test_what_a_file_leaves_to_the_code_is_noted():
    model = read(rope_theta="absent")
    assert model.kinds[0].base == 1e4
    assert "no base is given" in model.notes[0]
    neox = read(model_type="gpt_neox", rope_theta="absent", hidden_size=96 * 32)
    assert neox.kinds[0].rotated == 24
    assert len(neox.notes) == 2


def scaled(**scaling: Any) -> np.ndarray:
    return only(rope_scaling=scaling).frequencies(only(rope_scaling=scaling).distance(4096))


@pytest.mark.parametrize("key", ["type", "rope_type"])
def test_linear_scaling_divides_every_frequency(key):
    assert scaled(**{key: "linear", "factor": 8.0}) == pytest.approx(OMEGA / 8)


@pytest.mark.parametrize(
    "scaling",
    [
        {"type": "yarn", "factor": 32.0, "original_max_position_embeddings": 4096},
        {"type": "deepseek_yarn", "factor": 32.0, "original_max_position_embeddings": 4096, "beta_fast": None},
        {
            "rope_type": "llama3",
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 4096,
        },
    ],
)
def test_yarn_and_llama3_scale_the_slowest_fully_and_the_fastest_not_at_all(scaling):
    omega = scaled(**scaling)
    assert omega[0] == pytest.approx(OMEGA[0])
    assert omega[-1] == pytest.approx(OMEGA[-1] / 32)
    assert scaled(**scaling | {"factor": 1.0}) == pytest.approx(OMEGA)


def test_yarn_without_a_factor_stretches_to_the_promised_length():
    kind = only(max_position_embeddings=32768, rope_scaling={"type": "yarn", "original_max_position_embeddings": 4096})
    assert kind.scaling.factor == 8
    noted = read(rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096})
    assert "16,384" in noted.notes[0]


def test_dynamic_scaling_follows_the_length():
    kind = only(rope_scaling={"type": "dynamic", "factor": 2.0})
    assert kind.frequencies(4096) == pytest.approx(OMEGA)
    longer = kind.frequencies(8192)
    assert longer[0] == 1
    assert longer[-1] == pytest.approx(OMEGA[-1] / 3)
    hunyuan = only(rope_scaling={"type": "dynamic", "alpha": 1000.0, "factor": 1.0})
    assert hunyuan.frequencies(8192)[-1] == pytest.approx(OMEGA[-1] / 1000)


@pytest.mark.parametrize("name", ["longrope", "su"])
def test_longrope_takes_the_long_factors_beyond_the_original_length(name):
    scaling = {"type": name, "short_factor": [1.0] * 64, "long_factor": [4.0] * 64}
    kind = only(max_position_embeddings=131072, original_max_position_embeddings=4096, rope_scaling=scaling)
    assert kind.frequencies(4096) == pytest.approx(OMEGA)
    assert kind.frequencies(4097) == pytest.approx(OMEGA / 4)
    assert kind.scaling.factor == 32


def test_proportional_rotation_keeps_its_place_in_the_head():
    kind = only(head_dim=512, rope_parameters={"rope_type": "proportional", "partial_rotary_factor": 0.25})
    assert kind.frequencies() == pytest.approx(1e4 ** (-np.arange(0, 128, 2) / 512))
    assert kind.effective_base() == pytest.approx(1e4 ** (126 / 512))
    assert kind.channels == pytest.approx(2 / (1 - 126 / 512))
    part = RoPE(512, RoPE.Config(base=1e4, scaling=scalings.ProportionalScaling(fraction=0.25)))
    assert part.frequencies.count_nonzero() == 64
    with_factor = scalings.ProportionalScaling(fraction=1.0, factor=4.0).frequencies(1e4, 128)
    assert torch.equal(with_factor, scalings.plain_frequencies(1e4, 128) / 4)


def test_a_scaling_without_a_type_is_read_by_its_entries():
    model = read(rope_scaling={"factor": 8.0})
    assert model.kinds[0].scaling == scalings.LinearScaling(8.0)
    assert "LinearScaling" in model.notes[0]


def kinds(**changes: Any) -> dict[str, tuple[int, float, int | None]]:
    return {k.kind: (k.layers, k.base, k.window) for k in read(**changes).kinds}


def test_kinds_of_layers():
    gemma3 = {"model_type": "gemma3_text", "rope_theta": 1e6, "rope_local_base_freq": 1e4, "sliding_window": 1024}
    found = read(**gemma3, num_hidden_layers=34, rope_scaling={"rope_type": "linear", "factor": 8.0})
    assert {k.kind: (k.layers, k.base, k.window) for k in found.kinds} == {
        "sliding_attention": (29, 1e4, 1024),
        "full_attention": (5, 1e6, None),
    }
    assert [type(k.scaling).__name__ for k in found.kinds] == ["Scaling", "LinearScaling"]
    nested = {
        "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
    }
    types = ["sliding_attention"] * 3 + ["full_attention"]
    assert kinds(rope_parameters=nested, layer_types=types * 8, sliding_window=512) == {
        "sliding_attention": (24, 2e4, 512),
        "full_attention": (8, 1e6, None),
    }
    nested["full_attention"] = None  # type: ignore[assignment]
    assert list(kinds(rope_parameters=nested, layer_types=types * 8, sliding_window=512)) == ["sliding_attention"]


@pytest.mark.parametrize(
    ("changes", "expected", "unrotated"),
    [
        ({"sliding_window": 1024}, {"sliding_attention": 32}, 0),
        ({"sliding_window": 4096}, {"full_attention": 32}, 0),
        ({"sliding_window": 1024, "use_sliding_window": False}, {"full_attention": 32}, 0),
        (
            {"sliding_window": 1024, "use_sliding_window": True, "max_window_layers": 20},
            {"full_attention": 20, "sliding_attention": 12},
            0,
        ),
        ({"model_type": "gemma2", "sliding_window": 1024}, {"sliding_attention": 16, "full_attention": 16}, 0),
        ({"model_type": "cohere2", "sliding_window": 1024}, {"sliding_attention": 24}, 8),
        (
            {"model_type": "exaone4", "sliding_window": 1024, "sliding_window_pattern": "LLLG"},
            {"sliding_attention": 24},
            8,
        ),
        ({"model_type": "exaone4"}, {"full_attention": 32}, 0),
        ({"model_type": "llama4_text", "attention_chunk_size": 1024}, {"chunked_attention": 24}, 8),
        ({"model_type": "smollm3"}, {"full_attention": 24}, 8),
        ({"no_rope_layers": [1, 1, 1, 0] * 8}, {"full_attention": 24}, 8),
        ({"no_rope_layer_interval": 2}, {"full_attention": 16}, 16),
        ({"model_type": "qwen3_next", "full_attention_interval": 4}, {"full_attention": 8}, 24),
        ({"layer_types": ["linear_attention", "full_attention"] * 16}, {"full_attention": 16}, 16),
        ({"layers_block_type": ["mamba"] * 31 + ["attention"]}, {"full_attention": 1}, 31),
        ({"hybrid_override_pattern": "M*E-" * 8}, {"full_attention": 8}, 24),
        (
            {"hybrid_layer_pattern": [0, 1] * 16, "sliding_window": 9},
            {"full_attention": 16, "sliding_attention": 16},
            0,
        ),
        ({"block_types": ["recurrent", "recurrent", "attention"]}, {"full_attention": 10}, 22),
        ({"attn_layer_indices": [3, 7]}, {"full_attention": 2}, 30),
        ({"attn_type_list": [0] * 28 + [1] * 4}, {"full_attention": 4}, 28),
        (
            {"model_type": "modernbert", "global_attn_every_n_layers": 3, "local_attention": 128},
            {"full_attention": 11, "sliding_attention": 21},
            0,
        ),
    ],
)
def test_which_layers_rotate(changes, expected, unrotated):
    model = read(**changes)
    assert {k.kind: k.layers for k in model.kinds} == expected
    assert model.unrotated == unrotated


def test_layers_that_compress_their_keys_have_a_base_and_a_scaling_of_their_own():
    scaling = {"type": "yarn", "factor": 16, "original_max_position_embeddings": 65536}
    model = read(
        model_type="deepseek_v4",
        num_hidden_layers=4,
        compress_ratios=[0, 4, 128, 4, 0],
        compress_rope_theta=160000,
        sliding_window=128,
        rope_scaling=scaling,
        max_position_embeddings=2**20,
        head_dim=512,
        qk_rope_head_dim=64,
    )
    facts = [(k.kind, k.layers, k.base, k.window, type(k.scaling).__name__) for k in model.kinds]
    assert facts == [
        ("sliding_attention", 1, 1e4, 128, "Scaling"),
        ("compressed_sparse_attention", 2, 160000.0, None, "YaRN"),
        ("heavily_compressed_attention", 1, 160000.0, None, "YaRN"),
    ]
    assert [(k.head_width, k.rotated) for k in model.kinds] == [(512, 64)] * 3


def test_a_base_for_each_layer():
    assert sorted((k.layers, k.base) for k in read(rope_theta=[1e4] * 24 + [5e6] * 8).kinds) == [(8, 5e6), (24, 1e4)]
    with pytest.raises(ConfigError, match="bases of 3 layers"):
        read(rope_theta=[1e4] * 3)


@pytest.mark.parametrize("key", ["text_config", "llm_config", "thinker_config"])
def test_the_language_model_inside_another(key):
    outer = {"model_type": "vlm", "vision_config": {"num_hidden_layers": 5}, key: LLAMA, "torch_dtype": "bfloat16"}
    if key == "thinker_config":
        outer[key] = {"text_config": LLAMA}
    model = read_rotary(outer)
    assert (model.layers, model.dtype, model.model_type) == (32, "bfloat16", "llama")


def test_our_own_models(tmp_path):
    config = Decoder.Config(width=64, depth=3, heads=2, max_length=777)
    config = config.override({"position": "RoPE(base=5e5, fraction=0.5, scaling=LinearScaling(factor=2))"})
    Decoder(config).save_pretrained(tmp_path)
    model = read_rotary(tmp_path)
    (kind,) = model.kinds
    assert (model.length, kind.layers, kind.base, kind.rotated, kind.head_width) == (777, 3, 5e5, 16, 32)
    assert kind.effective_base() == pytest.approx(2 * 5e5 ** (14 / 16))
    Decoder(config.override({"position": "NoPE"})).save_pretrained(tmp_path)
    with pytest.raises(FormariumError, match="no rotary position embedding"):
        read_rotary(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "gpt2", "rope_theta": "absent"}, "no rotary embedding"),
        ({"model_type": "bert", "position_embedding_type": "absolute"}, "absolute"),
        ({"model_type": "falcon", "alibi": True}, "ALiBi"),
        ({"model_type": "kimi_linear", "mla_use_nope": True}, "mla_use_nope is true"),
        ({"model_type": "zamba2", "use_mem_rope": False}, "use_mem_rope is false"),
        ({"model_type": "jamba", "rope_theta": "absent"}, "no rotary embedding"),
        ({"model_type": "mystery", "rope_theta": "absent", "rotary_pct": 0.5}, "names no base"),
        ({"layer_types": ["mamba"] * 32}, "none of the layers"),
        ({"layer_types": ["full_attention"] * 3}, "types of 3 layers"),
        ({"num_hidden_layers": "absent"}, "lacks num_hidden_layers"),
        ({"max_position_embeddings": "absent"}, "lacks max_position_embeddings"),
        ({"num_hidden_layers": 0}, "no model's"),
        ({"num_hidden_layers": 10**12}, "no model's"),
        ({"num_hidden_layers": 4.5}, "4.5, not a whole number"),
        ({"partial_rotary_factor": 0}, "a share of 0 of the channels"),
        ({"partial_rotary_factor": 1.5}, "a share of 1.5 of the channels"),
        ({"sliding_window": -1}, "a window of -1 tokens"),
        ({"hidden_size": "4096"}, "'4096', not a number"),
        ({"rope_theta": float("nan")}, "nan, not a number"),
        ({"rope_theta": 1.0}, "above 1"),
        ({"rope_theta": -5}, "above 1"),
        ({"head_dim": 2}, "two pairs"),
        ({"rope_scaling": "linear"}, "not names and values"),
        ({"rope_scaling": {"type": "yran", "factor": 2}}, "did you mean 'yarn'"),
        ({"rope_scaling": {"type": "linear"}}, "lacks factor"),
        ({"rope_scaling": {"type": "llama3", "factor": 2}}, "lacks low_freq_factor"),
        ({"rope_scaling": {"type": "longrope", "long_factor": [1.0]}}, "lacks short_factor"),
        ({"rope_scaling": {"type": "longrope", "long_factor": [1.0], "short_factor": [1.0]}}, "64 factors"),
        ({"rope_scaling": {"type": "linear", "factor": 0}}, "not above 0"),
    ],
)
def test_what_cannot_be_read_is_answered_in_one_sentence(changes, words):
    with pytest.raises(FormariumError, match=words) as error:
        read(**changes)
    assert "\n" not in str(error.value)


def test_files_and_folders(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    assert read_rotary(tmp_path).kinds == read_rotary(str(tmp_path / "config.json")).kinds == read().kinds
    assert read_rotary(tmp_path).name == tmp_path.name
    broken = tmp_path / "broken.json"
    for content in ("{", "[1, 2]", '"text"', ""):
        broken.write_text(content)
        with pytest.raises(DataError, match="broken"):
            read_rotary(broken)
    for absent in (tmp_path / "nothing.json", tmp_path / "no" / "folder", "nothing.json", ""):
        with pytest.raises(DataError):
            read_rotary(absent)


def test_an_identifier_is_fetched(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    asked = []

    def download(identifier: str, file: str) -> str:
        asked.append((identifier, file))
        return str(tmp_path / file)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=download))
    model = read_rotary("meta/llama-2")
    assert asked == [("meta/llama-2", "config.json")]
    assert (model.name, model.kinds) == ("meta/llama-2", read().kinds)

    def offline(identifier: str, file: str) -> str:
        raise OSError("no network\nat all")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=offline))
    with pytest.raises(DataError, match="could not be fetched from Hugging Face: no network at all"):
        read_rotary("meta/llama-2")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FormariumError, match="pip install huggingface_hub"):
        read_rotary("meta/llama-2")


def test_changes_and_plain_models():
    changed = with_changes(read(), base=5e5, rotated=64, layers=16, length=8192)
    assert changed.kinds[0].effective_base() == pytest.approx(5e5 ** (62 / 64))
    plain = plain_model(5e5, 64, 16, 8192)
    assert (plain.length, plain.kinds[0].layers) == (changed.length, changed.kinds[0].layers) == (8192, 16)
    assert with_changes(read()) == read()
    for bad in ({"base": 1.0}, {"layers": 0}, {"length": 0}, {"rotated": 3}, {"base": float("inf")}):
        with pytest.raises(FormariumError):
            with_changes(read(), **bad)
    with pytest.raises(FormariumError):
        plain_model(1e4, 128, 0, 10)


def test_the_cosine_sum_of_scaled_frequencies():
    assert similarity_length(only(rope_scaling={"type": "linear", "factor": 8.0}).frequencies(), 10**5) > 1706


anything = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10**6), st.floats(), st.sampled_from(["yarn", "linear", "x", ""]),
    st.lists(st.one_of(st.none(), st.integers(0, 5), st.sampled_from(["full_attention", "mamba"])), max_size=40),
    st.dictionaries(
        st.sampled_from(
            ["type", "rope_type", "factor", "rope_theta", "full_attention", "original_max_position_embeddings"]
        ),
        st.one_of(st.none(), st.integers(-1, 64), st.sampled_from(["yarn", "dynamic", "default"]), st.just({})),
    ),
)  # fmt: skip
KEYS = (
    *LLAMA, "rope_scaling", "rope_parameters", "head_dim", "layer_types", "sliding_window", "sliding_window_pattern",
    "no_rope_layers", "no_rope_layer_interval", "attention_chunk_size", "partial_rotary_factor", "rotary_dim",
    "qk_rope_head_dim", "hybrid_override_pattern", "compress_ratios", "compress_rope_theta", "text_config",
    "attn_config", "max_window_layers", "use_sliding_window", "local_attention", "block_types", "torch_dtype",
    "global_attn_every_n_layers", "layer_rope_theta", "rope_local_base_freq", "rope_ratio", "position_embedding_type",
    "full_attention_interval",
)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(KEYS), anything, max_size=4), st.sampled_from(["llama", "gemma3", "llama4", "x"])
)
@settings(max_examples=400)
def test_nothing_that_json_can_hold_is_answered_by_anything_but_facts_or_one_sentence(changes, family):
    try:
        model = read_rotary({**LLAMA, "model_type": family, **changes})
    except FormariumError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert model.kinds
        assert sum(k.layers for k in model.kinds) + model.unrotated == model.layers
        for kind in model.kinds:
            omega = kind.frequencies(model.length)
            assert len(omega) >= 1
            assert np.isfinite(omega).all()


EXPECTED = {  # layers that rotate by kind, of a few
    "Llama-4-Scout-17B-16E-Instruct": {"chunked_attention": 36},
    "gemma-4-26B-A4B": {"sliding_attention": 25, "full_attention": 5},
    "Gemma-3-4b-it": {"sliding_attention": 29, "full_attention": 5},
    "Qwen3.5-27B": {"full_attention": 16},
    "MiMo-V2-Flash": {"full_attention": 9, "sliding_attention": 39},
    "gpt-oss-20b": {"sliding_attention": 12, "full_attention": 12},
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": {"full_attention": 6},
    "DeepSeek-V3": {"full_attention": 61},
}


def test_configurations_of_well_known_models(data: Path):
    files = sorted((data / "llm-configs").rglob("*.json"))
    if not files:
        pytest.skip("the folder of real data sets has no llm-configs")
    models = {file.stem: read_rotary(file) for file in files}
    assert len(models) == len(files)
    for name, model in models.items():
        assert all(np.isfinite(k.effective_base(model.length)) for k in model.kinds), name
    for name in EXPECTED.keys() & models.keys():
        assert {k.kind: k.layers for k in models[name].kinds} == EXPECTED[name], name


def test_scalings_as_the_configuration_library_computes_them(data: Path):
    reference = pytest.importorskip("transformers.modeling_rope_utils").ROPE_INIT_FUNCTIONS
    seen = set()
    for file in sorted((data / "llm-configs").glob("*.json")):
        settings = json.loads(file.read_text())
        parameters = settings.get("rope_scaling")
        if not parameters or settings["model_type"] == "deepseek_v4":
            continue
        model = read_rotary(file)
        kind = model.kinds[0]
        name = {"su": "longrope"}.get(parameters.get("type"), parameters.get("rope_type") or parameters.get("type"))
        original = settings.get("original_max_position_embeddings")
        more = {"original_max_position_embeddings": original} if original else {}
        config = SimpleNamespace(
            rope_parameters={**parameters, **more, "rope_theta": kind.base},
            head_dim=kind.rotated,
            hidden_size=kind.rotated,
            num_attention_heads=1,
            max_position_embeddings=model.length,
            standardize_rope_params=lambda: None,
        )
        theirs, _ = reference[name](config, torch.device("cpu"), seq_len=model.length)
        assert kind.frequencies(model.length) == pytest.approx(theirs.double().numpy(), rel=1e-6), file.name
        seen.add(name)
    assert seen >= {"yarn", "llama3", "longrope"}


def test_scaling_parameters_alone():
    assert scaling_from({}) == scalings.Scaling()
    assert scaling_from({"rope_type": "dynamic", "factor": 2.0}, 4096) == scalings.DynamicNTK(2.0, 4096)
    with pytest.raises(ConfigError, match="lacks original_max_position_embeddings"):
        scaling_from({"rope_type": "yarn", "factor": 2.0})


def test_the_share_of_rotated_channels_beside_the_base_comes_first():
    nested = {"rope_theta": 1e4, "rotary_pct": 0.25}
    assert only(rope_parameters=nested, partial_rotary_factor=0.5).rotated == 32
