"""Tokenizers: every text comes back, and a text is encoded as it is."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formarium.errors import DataError
from formarium.tasks.language import tokenizers
from formarium.tasks.language.tokenizers import SEPARATOR, Bytes, Subwords, Tokenizer, load, train_subwords

TEXTS = [
    "the cat sat on the mat, the cat ate the rat",
    "naïve café: Ω ≈ 3.14, 漢字 and 🦜",
    "def f(x):\n    return x\n",
] * 5
BYTES = Bytes()
SUBWORDS = train_subwords(TEXTS, 300)


@pytest.mark.parametrize("tokenizer", [BYTES, SUBWORDS], ids=["bytes", "bpe"])
@given(text=st.text())
def test_every_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    tokens = list(tokenizer.encode(text))
    assert tokenizer.decode(tokens) == text
    assert list(tokenizer.encode_all([text, "x"])[0]) == tokens
    assert all(0 <= token < tokenizer.vocabulary for token in tokens)
    assert tokenizer.separator not in tokens
    assert tokenizer.decode([tokenizer.separator, *tokens, tokenizer.separator]) == text


@pytest.mark.parametrize("tokenizer", [BYTES, SUBWORDS], ids=["bytes", "bpe"])
def test_what_looks_like_a_separator_is_text(tokenizer: Tokenizer) -> None:
    text = f"a {SEPARATOR} in the middle"
    assert tokenizer.separator not in list(tokenizer.encode(text))
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("tokenizer", [BYTES, SUBWORDS], ids=["bytes", "bpe"])
def test_saved_and_loaded_is_the_same_tokenizer(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    for place in (tmp_path, tmp_path / "tokenizer.json", str(tmp_path)):
        again = load(place)
        assert type(again) is type(tokenizer)
        assert (again.vocabulary, again.separator) == (tokenizer.vocabulary, tokenizer.separator)
        assert list(again.encode(TEXTS[1])) == list(tokenizer.encode(TEXTS[1]))
        assert again.decode(again.encode(SEPARATOR)) == SEPARATOR


def test_bytes_are_the_bytes_of_utf_8() -> None:
    assert list(BYTES.encode("aé")) == [97, 0xC3, 0xA9]
    assert (BYTES.vocabulary, BYTES.separator) == (257, 256)
    assert BYTES.decode([97, 0xC3]) == "a\N{REPLACEMENT CHARACTER}"


def test_a_trained_encoding_merges_what_is_frequent() -> None:
    assert SUBWORDS.vocabulary == 300
    assert len(list(SUBWORDS.encode("the cat"))) <= 2
    assert train_subwords(TEXTS, 257).vocabulary == 257
    assert len(list(train_subwords(TEXTS, 257).encode("the cat"))) == 7
    again = train_subwords(TEXTS, 300)
    assert list(again.encode(TEXTS[0])) == list(SUBWORDS.encode(TEXTS[0]))


def test_an_encoding_smaller_than_the_bytes_is_refused() -> None:
    with pytest.raises(DataError, match=r"at least 257 tokens \(the bytes and the separator\), not 256"):
        train_subwords(TEXTS, 256)


def _words(**specials: Any) -> Any:
    """A tokenizer of somebody else's: words, lower-cased."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {"<unk>": 0, "the": 1, "cat": 2, "sat": 3}
    found = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    found.normalizer = normalizers.Lowercase()
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    found.add_special_tokens(list(specials.values()))
    return found


@pytest.mark.parametrize("separator", ["<|endoftext|>", "<|begin_of_text|>", "<s>", "[BOS]", "</s>", "<eos>", "[SEP]"])
def test_a_tokenizer_file_of_somebody_else(tmp_path: Path, separator: str) -> None:
    words = _words(separator=separator)
    words.enable_truncation(2)
    words.enable_padding(length=8)
    words.save(str(tmp_path / "words.json"))
    found = load(tmp_path / "words.json")
    assert (found.vocabulary, found.separator) == (5, 4)
    # Neither cut nor padded, whatever the file says.
    assert list(found.encode("The cat sat the cat sat")) == [1, 2, 3, 1, 2, 3]
    assert [list(tokens) for tokens in found.encode_all(["the", "cat cat"])] == [[1], [2, 2]]


def test_the_first_of_several_possible_separators_is_taken() -> None:
    assert Subwords(_words(a="</s>", b="<s>")).separator == 5


def test_a_tokenizer_without_a_separator_is_refused(tmp_path: Path) -> None:
    _words().save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(DataError, match="the tokenizer has no token for the start of a document; known are"):
        load(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", json.dumps({"formarium": "letters"})])
def test_what_is_no_tokenizer_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(DataError, match=r"tokenizer\.json is not a tokenizer of the tokenizers library"):
        load(tmp_path)


def test_a_place_without_a_tokenizer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (tmp_path, tmp_path / "nowhere", "./nowhere"):
        with pytest.raises(DataError, match=r"there is no tokenizer\.json at"):
            load(place)
    import tokenizers as library

    def nobody(*_: object) -> None:
        raise ConnectionError("no network\nand a long story")

    class Offline:
        from_pretrained = nobody

    monkeypatch.setattr(library, "Tokenizer", Offline)
    with pytest.raises(DataError) as caught:
        load("owner/model")
    assert str(caught.value) == "the tokenizer 'owner/model' cannot be loaded from the Hugging Face hub: no network"


def test_the_file_is_the_customary_one() -> None:
    assert tokenizers.FILE == "tokenizer.json"
