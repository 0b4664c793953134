"""Text in, text out: up to the first stop text, written as it comes, in whole characters."""

import io
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formarium.config import ConfigError
from formarium.errors import DataError, FormariumError
from formarium.models import Decoder
from formarium.models.generation import Sampling
from formarium.tasks.language.continuing import continue_texts, write_live
from formarium.tasks.language.tokenizers import Bytes, Tokenizer, train_subwords

BYTES = Bytes()
SUBWORDS = train_subwords(["the cat sat on the mat and the cat ate", "naïve café: 漢字 🦜"] * 20, 300)
GREEDY = Sampling(new_tokens=200, temperature=0.0)


class Parrot(Decoder):
    """Says what it is told to, one script a row, and then the start of the next document."""

    scripts: list[list[int]]
    separator: int
    steps = 0

    def step(self, tokens: Tensor, *args: object, **options: object) -> Tensor:
        said = [script[self.steps] if self.steps < len(script) else self.separator for script in self.scripts]
        self.steps += 1
        return torch.nn.functional.one_hot(torch.tensor(said), self.config.vocabulary)[:, None].float()


def parrot(tokenizer: Tokenizer, *texts: str | Sequence[int]) -> Parrot:
    config = Decoder.Config(vocabulary=tokenizer.vocabulary, width=8, depth=1, heads=1)
    model = Parrot(config)
    model.scripts = [list(tokenizer.encode(text)) if isinstance(text, str) else list(text) for text in texts]
    model.separator = tokenizer.separator
    return model


def cut(text: str, stop: Sequence[str]) -> str:
    """The reference: the text before the first place where a stop text begins."""
    return min((text[: text.index(s)] for s in stop if s and s in text), key=len, default=text)


def continued(tokenizer: Tokenizer, text: str, stop: Sequence[str] = (), sampling: Sampling = GREEDY) -> str:
    return continue_texts(parrot(tokenizer, text), tokenizer, ["prompt"], sampling, stop)[0]


def live(tokenizer: Tokenizer, text: str | Sequence[int], stop: Sequence[str] = ()) -> list[str]:
    class Pieces(io.StringIO):
        def write(self, piece: str) -> int:
            if piece:
                found.append(piece)
            return len(piece)

    found: list[str] = []
    write_live(parrot(tokenizer, text), tokenizer, "prompt", GREEDY, stop, Pieces())
    assert found[0] == "prompt"
    return found[1:]


tokenizers = pytest.mark.parametrize("tokenizer", [BYTES, SUBWORDS], ids=["bytes", "bpe"])
letters = st.text(alphabet="abé漢🦜 ", max_size=25)


@tokenizers
@given(text=letters, stop=st.lists(st.text(alphabet="abé漢🦜 ", max_size=3), max_size=3))
def test_what_is_said_ends_before_the_first_stop_text(tokenizer: Tokenizer, text: str, stop: list[str]) -> None:
    assert continued(tokenizer, text, stop) == cut(text, stop)
    assert "".join(live(tokenizer, text, stop)) == cut(text, stop)


@tokenizers
def test_stop_texts_reach_over_borders_of_tokens_and_characters(tokenizer: Tokenizer) -> None:
    text = "the cat sat on the mat and the naïve café: 漢字 🦜!"
    for stop in ("at sat", "e mat a", "aï", "é", "漢字", "字 🦜", "🦜", "!"):
        assert continued(tokenizer, text, [stop]) == text[: text.index(stop)]
    assert continued(tokenizer, text, ["mat", "cat"]) == "the "
    assert continued(tokenizer, text, ["nowhere", ""]) == text


def test_a_stop_text_ends_the_work_and_not_only_the_answer() -> None:
    model = parrot(BYTES, "one. two. three.")
    assert continue_texts(model, BYTES, [""], GREEDY, [". "]) == ["one"]
    assert model.steps == len("one. ")


@tokenizers
def test_the_start_of_another_document_ends_a_text(tokenizer: Tokenizer) -> None:
    tokens = [*tokenizer.encode("end"), tokenizer.separator, *tokenizer.encode("beyond")]
    model = parrot(tokenizer, tokens, "longer than the other")
    assert continue_texts(model, tokenizer, ["a", "b"], GREEDY) == ["end", "longer than the other"]
    assert "".join(live(tokenizer, tokens)) == "end"


def test_new_tokens_are_counted_and_characters_may_be_cut() -> None:
    assert continued(BYTES, "aé", sampling=GREEDY.replace(new_tokens=2)) == "a\N{REPLACEMENT CHARACTER}"
    assert continued(BYTES, "aé", sampling=GREEDY.replace(new_tokens=3)) == "aé"


def test_whole_characters_are_written_as_they_come() -> None:
    assert live(BYTES, "aé🦜b") == ["a", "é", "🦜", "b"]
    assert "".join(live(BYTES, [0x61, 0xFF, 0x62])) == "a\N{REPLACEMENT CHARACTER}b"
    assert "".join(live(BYTES, [0x61, 0xC3])) == "a\N{REPLACEMENT CHARACTER}"


def test_what_may_become_a_stop_text_is_held_back() -> None:
    pieces = live(BYTES, "abcab!", ["abd", "!"])
    assert "".join(pieces) == "abcab"
    assert pieces[0] == "a"  # behind "abc" only: "abd" could no longer begin there
    assert live(BYTES, "ab", ["abc"]) == ["ab"]


def test_a_prompt_opens_a_document() -> None:
    seen: list[list[int]] = []

    class Listening(Parrot):
        def step(self, tokens: Tensor, state: object, mask: Tensor | None = None, **options: object) -> Tensor:
            real = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
            seen.extend(row[which].tolist() for row, which in zip(tokens, real, strict=True))
            return super().step(tokens)

    model = Listening(Decoder.Config(vocabulary=257, width=8, depth=1, heads=1))
    model.scripts, model.separator = [[], []], 256
    assert continue_texts(model, BYTES, ["ab", ""], GREEDY) == ["", ""]
    assert seen == [[256, 97, 98], [256]]


def test_nothing_is_written_before_what_is_wrong_is_known() -> None:
    out = io.StringIO()
    for text, sampling in (("bad \ud800", GREEDY), ("good", GREEDY.replace(top_k=0))):
        with pytest.raises(FormariumError):
            write_live(parrot(BYTES, "more"), BYTES, text, sampling, (), out)
    with pytest.raises(ConfigError, match=r"the tokenizer makes \d+ different tokens, but the model knows 257"):
        write_live(parrot(BYTES, "more"), SUBWORDS, "good", GREEDY, (), out)
    with pytest.raises(DataError, match="the text to continue is not UTF-8: character 4 cannot be read"):
        continue_texts(parrot(BYTES, "more"), BYTES, ["bad \ud800"], GREEDY)
    assert out.getvalue() == ""
