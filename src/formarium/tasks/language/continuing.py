"""Text in, text out: continuing texts with a causal model and its tokenizer."""

from collections.abc import Callable, Sequence
from typing import TextIO

from formarium.config import ConfigError
from formarium.errors import DataError
from formarium.models.decoder import Decoder
from formarium.models.generation import Sampling, generate, stream
from formarium.tasks.language.tokenizers import Tokenizer

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # what a cut-off multi-byte character decodes to


def continue_texts(
    model: Decoder,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    sampling: Sampling,
    stop: Sequence[str] = (),
    compiled: bool = False,
) -> list[str]:
    """What the model adds to each text, up to the first of the ``stop`` texts, which is left out."""
    prompts = [_prompt(model, tokenizer, text) for text in texts]
    found = generate(model, prompts, sampling, _ends(tokenizer, stop), compiled)
    return [_cut(tokenizer.decode(_before_separator(tokens, tokenizer)), stop) for tokens in found]


def write_live(
    model: Decoder,
    tokenizer: Tokenizer,
    text: str,
    sampling: Sampling,
    stop: Sequence[str],
    out: TextIO,
    compiled: bool = False,
) -> None:
    """Writes one text and, as it comes, what the model adds to it."""
    tokens: list[int] = []
    written = 0
    prompt = _prompt(model, tokenizer, text)
    longest = max(map(len, stop), default=0)
    ends = _ends(tokenizer, stop)
    for number, (token,) in enumerate(stream(model, [prompt], sampling, ends, compiled)):
        if number == 0:
            out.write(text)  # not earlier: before the first token all that is wrong comes to light
        if token is None or token == tokenizer.separator:
            break
        tokens.append(token)
        whole = tokenizer.decode(tokens)
        # What may yet become a stop text, or the rest of a character, is held back.
        ready = len(whole.rstrip(_UNFINISHED)) - max(longest - 1, 0)
        if ready > written and _cut(whole, stop) == whole:
            out.write(whole[written:ready])
            out.flush()
            written = ready
    out.write(_cut(tokenizer.decode(tokens), stop)[written:])


def _prompt(model: Decoder, tokenizer: Tokenizer, text: str) -> list[int]:
    known, made = model.config.vocabulary, tokenizer.vocabulary
    if known < made:
        raise ConfigError(f"the tokenizer makes {made} different tokens, but the model knows {known}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"the text to continue is not UTF-8: character {error.start} cannot be read") from None
    return [tokenizer.separator, *tokenizer.encode(text)]


def _before_separator(tokens: list[int], tokenizer: Tokenizer) -> list[int]:
    return tokens[: tokens.index(tokenizer.separator)] if tokenizer.separator in tokens else tokens


def _ends(tokenizer: Tokenizer, stop: Sequence[str]) -> Callable[[list[int]], bool]:
    # The last tokens suffice: a token stands for at least one byte, or it would have ended the text before.
    stop = [text for text in stop if text]
    reach = max((len(text.encode()) for text in stop), default=0) + 8

    def ended(tokens: list[int]) -> bool:
        if tokens[-1] == tokenizer.separator:
            return True
        return bool(stop) and any(text in tokenizer.decode(tokens[-reach:]) for text in stop)

    return ended


def _cut(text: str, stop: Sequence[str]) -> str:
    ends = [found for s in stop if s and (found := text.find(s)) >= 0]
    return text[: min(ends)] if ends else text
