"""Text to token numbers and back: bytes, a byte-pair encoding trained on the spot, or any Hugging Face tokenizer."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from formarium.errors import DataError
from formarium.files import replacing, write_json

FILE = "tokenizer.json"
SEPARATOR = "<|document|>"


class Tokenizer(Protocol):
    """What the task needs of a tokenizer; ``separator`` is the token that opens each document."""

    vocabulary: int
    separator: int

    def encode(self, text: str) -> Sequence[int]:
        """Token numbers of a text, without special tokens."""
        ...

    def encode_all(self, texts: list[str]) -> list[Sequence[int]]:
        """Token numbers of several texts, as fast as it goes."""
        ...

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of token numbers; separators leave nothing."""
        ...

    def save(self, folder: Path) -> None:
        """Leaves in a folder what ``load`` reads."""
        ...


class Bytes:
    """The 256 bytes of UTF-8 text, and 256 for the start of a document."""

    vocabulary = 257
    separator = 256

    def encode(self, text: str) -> Sequence[int]:
        return text.encode("utf-8")

    def encode_all(self, texts: list[str]) -> list[Sequence[int]]:
        return [self.encode(text) for text in texts]

    def decode(self, tokens: Iterable[int]) -> str:
        return bytes(t for t in tokens if t < 256).decode("utf-8", errors="replace")

    def save(self, folder: Path) -> None:
        write_json(folder / FILE, {"formarium": "bytes"})


class Subwords:
    """A tokenizer of the ``tokenizers`` library: trained here, or saved by anybody as tokenizer.json."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        # A text is encoded as it is: whole, without padding, and what looks like a special token is text too.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        self.vocabulary = int(tokenizer.get_vocab_size(with_added_tokens=True))
        candidates = (SEPARATOR, "<|endoftext|>", "<|begin_of_text|>", "<s>", "[BOS]", "</s>", "<eos>", "[SEP]")
        found = (tokenizer.token_to_id(token) for token in candidates)
        self.separator = next((number for number in found if number is not None), -1)
        if self.separator < 0:
            raise DataError(
                f"the tokenizer has no token for the start of a document; known are {', '.join(candidates)}"
            )

    def encode(self, text: str) -> Sequence[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def encode_all(self, texts: list[str]) -> list[Sequence[int]]:
        return [e.ids for e in self._tokenizer.encode_batch(texts, add_special_tokens=False)]

    def decode(self, tokens: Iterable[int]) -> str:
        return str(self._tokenizer.decode([t for t in tokens if t != self.separator], skip_special_tokens=False))

    def save(self, folder: Path) -> None:
        with replacing(folder / FILE) as temporary:
            self._tokenizer.save(str(temporary))


def train_subwords(texts: Iterable[str], size: int) -> Subwords:
    """A byte-level byte-pair encoding of ``size`` tokens, separator included (Sennrich et al. 2016, 1508.07909)."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    if size < 257:
        raise DataError(f"a byte-pair encoding has at least 257 tokens (the bytes and the separator), not {size}")
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[SEPARATOR],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return Subwords(tokenizer)


def load(place: str | Path) -> Tokenizer:
    """The tokenizer saved in a folder or file, or that of a model of the Hugging Face hub.

    Raises DataError when there is none, or it is not one that the ``tokenizers`` library reads.
    """
    import json

    path = Path(place).expanduser()
    file = path / FILE if path.is_dir() else path
    if file.is_file():
        try:
            text = file.read_text(encoding="utf-8")
            data = json.loads(text)
            if isinstance(data, dict) and data.get("formarium") == "bytes":
                return Bytes()
            import tokenizers

            return Subwords(tokenizers.Tokenizer.from_str(text))
        except DataError:
            raise
        except Exception as error:  # the library raises plain Exception for a file it cannot read
            raise DataError(f"{file} is not a tokenizer of the tokenizers library: {error}") from None
    if path.exists() or str(place).startswith((".", "/", "~")):
        raise DataError(f"there is no {FILE} at {place}")
    try:
        import tokenizers

        return Subwords(tokenizers.Tokenizer.from_pretrained(str(place)))
    except DataError:
        raise
    except Exception as error:  # the hub client raises many kinds: absent, private, offline
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"the tokenizer {str(place)!r} cannot be loaded from the Hugging Face hub: {reason}") from None
