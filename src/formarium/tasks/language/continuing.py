"""Text in, text out: continuing texts with a causal model and its tokenizer."""

from collections.abc import Callable, Sequence
from typing import TextIO

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
    prompts = [_prompt(tokenizer, text) for text in texts]
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
    """Writes what the model adds to one text as it comes."""
    tokens: list[int] = []
    written = 0
    longest = max(map(len, stop), default=0)
    ends = _ends(tokenizer, stop)
    for (token,) in stream(model, [_prompt(tokenizer, text)], sampling, ends, compiled):
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


def _prompt(tokenizer: Tokenizer, text: str) -> list[int]:
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
