"""Our decoders behind Hugging Face's interface: saved and loaded both ways, generating, training, evaluated."""

import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("transformers")

from transformers import AutoConfig, AutoModelForCausalLM

from formarium.models import Decoder
from formarium.models.generation import Sampling, generate
from formarium.models.huggingface import FormariumConfig, FormariumForCausalLM
from formarium.models.huggingface import load as load_face

SETTINGS = [
    {},
    {"tied": False, "position": "CARoPE(start='random')"},
    {"position": "ALiBi", "token_mixer.window": 4},
    {"position": "T5Bias", "softcap": 3.0},
    {"position": "Sinusoidal", "channel_mixer": "FeedForward(activation=PolyNorm)"},
]
settings = pytest.mark.parametrize("changes", SETTINGS, ids=str)
TOKENS = torch.tensor([[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 5, 8]])


def decoder(**changes: object) -> Decoder:
    torch.manual_seed(1)
    base = Decoder.Config(vocabulary=31, width=24, depth=2, heads=4, kv_heads=2, max_length=32, init_std=0.02)
    model: Decoder = base.override(changes).build()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model.eval()


# ----------------------------------------------------------------------------------------------------- saved and loaded


@settings
def test_ours_loads_as_theirs(changes: dict[str, object], tmp_path: Path) -> None:
    ours = decoder(**changes)
    ours.save_pretrained(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert isinstance(theirs, FormariumForCausalLM)
    torch.testing.assert_close(theirs(TOKENS).logits, ours(TOKENS))
    config = AutoConfig.from_pretrained(tmp_path)
    assert config.decoder == ours.config
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (31, 24, 2)


@settings
def test_theirs_loads_as_ours(changes: dict[str, object], tmp_path: Path) -> None:
    ours = decoder(**changes)
    generate(ours, [[1]], Sampling(new_tokens=1))  # which lays out its matrices in another order
    FormariumForCausalLM.wrap(ours).save_pretrained(tmp_path)
    again = Decoder.from_pretrained(tmp_path).eval()
    assert again.config == ours.config
    assert all(torch.equal(t, again.state_dict()[n]) for n, t in ours.state_dict().items())
    torch.testing.assert_close(again(TOKENS), ours(TOKENS))
    torch.testing.assert_close(load_face(str(tmp_path)).eval()(TOKENS).logits, ours(TOKENS))
    torch.testing.assert_close(AutoModelForCausalLM.from_pretrained(tmp_path).eval()(TOKENS).logits, ours(TOKENS))


def test_a_configuration_makes_a_model() -> None:
    config = FormariumConfig(decoder().config.to_dict())
    made = AutoModelForCausalLM.from_config(config)
    assert made.model.config == decoder().config
    assert json.loads(config.to_json_string())["model"]["type"] == "Decoder"
    assert FormariumConfig().decoder == Decoder.Config()


# ------------------------------------------------------------------------------------------------------------- forward


def test_labels_give_the_loss_of_the_next_token() -> None:
    face = FormariumForCausalLM.wrap(decoder())
    labels = TOKENS.clone()
    labels[0, :3] = -100
    out = face(TOKENS, labels=labels)
    expected = F.cross_entropy(out.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
    torch.testing.assert_close(out.loss, expected)
    torch.testing.assert_close(face(TOKENS, labels=labels, num_items_in_batch=24).loss, expected * 8 / 24)


def test_padding_on_the_left_changes_nothing() -> None:
    face = FormariumForCausalLM.wrap(decoder())
    padded = torch.cat([torch.zeros(2, 3, dtype=torch.long), TOKENS], dim=1)
    mask = (torch.arange(9) >= 3).long().expand(2, -1)
    torch.testing.assert_close(face(padded, attention_mask=mask).logits[:, 3:], face(TOKENS).logits)


def test_positions_may_be_given() -> None:
    ours = decoder(position="Sinusoidal")
    face = FormariumForCausalLM.wrap(ours)
    places = torch.tensor([[0, 1, 2, 0, 1, 2]]).expand(2, -1)
    torch.testing.assert_close(face(TOKENS, position_ids=places).logits, ours(TOKENS, positions=places))
    assert not torch.allclose(face(TOKENS, position_ids=places).logits, ours(TOKENS))


def test_a_memory_goes_from_call_to_call() -> None:
    ours = decoder()
    face = FormariumForCausalLM.wrap(ours)
    first = face(TOKENS[:, :4], use_cache=True)
    name = "cache" if "cache" in first else "past_key_values"
    second = face(TOKENS[:, 4:], **{name: first[name]}, use_cache=True)
    assert second[name].get_seq_length() == 6
    together = torch.cat([first.logits, second.logits], dim=1)
    torch.testing.assert_close(together, ours(TOKENS), atol=1e-5, rtol=1e-4)
    assert face(TOKENS, logits_to_keep=1).logits.shape == (2, 1, 31)
    torch.testing.assert_close(face(TOKENS, logits_to_keep=2).logits, ours(TOKENS)[:, -2:])


# ------------------------------------------------------------------------------------------------------------ generate


@settings
def test_generating_is_what_ours_generates(changes: dict[str, object]) -> None:
    ours = decoder(**changes)
    face = FormariumForCausalLM.wrap(ours)
    expected = generate(ours, TOKENS.tolist(), Sampling(new_tokens=7, temperature=0.0))
    options: dict[str, Any] = {"max_new_tokens": 7, "do_sample": False, "pad_token_id": 0}
    for cached in (True, False):
        found = face.generate(TOKENS, use_cache=cached, **options)
        assert found[:, 6:].tolist() == expected


def test_padded_prompts_generate_as_alone() -> None:
    face = FormariumForCausalLM.wrap(decoder())
    options: dict[str, Any] = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0}
    padded = torch.tensor([[3, 1, 4, 1], [0, 0, 2, 6]])
    mask = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]])
    found = face.generate(padded, attention_mask=mask, **options)[:, 4:]
    assert found[0].tolist() == face.generate(padded[:1], **options)[0, 4:].tolist()
    assert found[1].tolist() == face.generate(padded[1:, 2:], **options)[0, 2:].tolist()


@settings
def test_beam_search_remembers_the_right_beams(changes: dict[str, object]) -> None:
    face = FormariumForCausalLM.wrap(decoder(**changes))
    options: dict[str, Any] = {"max_new_tokens": 6, "num_beams": 3, "do_sample": False, "pad_token_id": 0}
    cached = face.generate(TOKENS, **options)
    assert torch.equal(cached, face.generate(TOKENS, use_cache=False, **options))
    with torch.no_grad():
        greedy = face.generate(TOKENS, max_new_tokens=6, do_sample=False, pad_token_id=0)

        def likelihood(rows: torch.Tensor) -> torch.Tensor:
            scores = face(rows).logits[:, 5:-1].log_softmax(-1)
            return scores.gather(-1, rows[:, 6:, None]).sum((1, 2))

        assert (likelihood(cached) >= likelihood(greedy) - 1e-4).all()


def test_sampling_follows_torchs_seed() -> None:
    face = FormariumForCausalLM.wrap(decoder())
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(face.generate(TOKENS, max_new_tokens=12, do_sample=True, pad_token_id=0).tolist())
    assert found[0] == found[1] != found[2]


# --------------------------------------------------------------------------------------------------------------- train


def _trainer(folder: Path, batch: int, accumulation: int) -> Any:
    from transformers import Trainer, TrainingArguments

    rows = torch.randint(31, (8, 10), generator=torch.Generator().manual_seed(0))
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        max_steps=2,
        learning_rate=0.05,
        optim="sgd",
        max_grad_norm=0.0,
        lr_scheduler_type="constant",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        logging_steps=1,
        save_strategy="no",
        seed=0,
    )
    face = FormariumForCausalLM.wrap(decoder())
    return Trainer(model=face, args=arguments, train_dataset=[{"input_ids": row, "labels": row} for row in rows])


def test_their_trainer_trains_ours_and_accumulates_rightly(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="their trainer needs the package accelerate")
    whole, pieces = _trainer(tmp_path, 4, 1), _trainer(tmp_path, 2, 2)
    before = {name: tensor.clone() for name, tensor in whole.model.state_dict().items()}
    whole.train()
    pieces.train()
    after = whole.model.state_dict()
    assert all(not torch.equal(after[name], tensor) for name, tensor in before.items())
    for name, tensor in pieces.model.state_dict().items():
        torch.testing.assert_close(tensor, after[name], atol=1e-5, rtol=1e-4)
    losses = [[log["loss"] for log in t.state.log_history if "loss" in log] for t in (whole, pieces)]
    assert losses[0] == pytest.approx(losses[1], abs=2e-4)


# ------------------------------------------------------------------------------------------------------------ evaluate

_YAML = """
task: colours
dataset_path: json
dataset_kwargs:
  data_files:
    validation: {file}
validation_split: validation
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: ["red", "green", "blue"]
doc_to_target: "{{{{answer}}}}"
metric_list:
  - metric: acc
"""


def test_an_lm_eval_task_runs_on_local_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lm_eval", reason="needs the package lm-eval")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from transformers import PreTrainedTokenizerFast

    from formarium.tasks.language.tokenizers import SEPARATOR, train_subwords

    rows = [{"question": f"the colour of thing {n} is ", "answer": n % 3} for n in range(6)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "colours.yaml").write_text(_YAML.format(file=tmp_path / "rows.jsonl"))
    tokenizer = train_subwords([str(row) for row in rows], 280)
    tokenizer.save(tmp_path)
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"), eos_token=SEPARATOR)
    face = FormariumForCausalLM.wrap(decoder(vocabulary=tokenizer.vocabulary, max_length=64))
    found = simple_evaluate(
        model=HFLM(pretrained=face, tokenizer=theirs, max_length=64, batch_size=2),
        tasks=["colours"],
        task_manager=TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False),
        bootstrap_iters=0,
    )

    def likelihood(question: str, answer: str) -> float:
        start, rest = list(tokenizer.encode(question)), list(tokenizer.encode(answer))
        with torch.no_grad():
            scores = face(torch.tensor([start + rest])).logits[0].log_softmax(-1)
        return sum(float(scores[len(start) - 1 + place, token]) for place, token in enumerate(rest))

    right = 0
    for row in rows:
        guesses = [likelihood(str(row["question"]), f" {colour}") for colour in ("red", "green", "blue")]
        right += guesses.index(max(guesses)) == row["answer"]
    assert found["results"]["colours"]["acc,none"] == pytest.approx(right / 6)
