"""Our decoders as Hugging Face models: ``AutoModelForCausalLM``, ``generate``, ``Trainer``, lm-eval all take them.

Importing this module registers them; a folder that ``Decoder.save_pretrained`` wrote then loads by
``AutoModelForCausalLM.from_pretrained``, and one that Hugging Face wrote loads by ``Decoder.from_pretrained``.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

import formarium
from formarium.config import config_from_dict
from formarium.models.decoder import Decoder, at_least_single
from formarium.models.decoding import DecodingState
from formarium.models.model import Model

# What generation calls the memory of past tokens: "cache" from transformers 5.24 on.
_MEMORY = next(name for name in ("cache", "past_key_values") if name in CausalLMOutputWithPast.__dataclass_fields__)


class FormariumConfig(PretrainedConfig):
    """A Hugging Face configuration that carries one of ours: ``model`` is what ``to_dict`` of it gives."""

    model_type = Decoder.model_type

    def __init__(self, model: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.model = model if model is not None else Decoder.Config().to_dict()
        self.formarium = formarium.__version__
        decoder = self.decoder
        self.vocab_size, self.hidden_size = decoder.vocabulary, decoder.width
        self.num_hidden_layers, self.num_attention_heads = decoder.depth, decoder.heads
        self.max_position_embeddings = decoder.max_length
        kwargs.setdefault("tie_word_embeddings", False)  # the head reads the table itself: nothing is left to tie
        super().__init__(**kwargs)

    @property
    def decoder(self) -> Decoder.Config:
        """Our own configuration."""
        return cast(Decoder.Config, config_from_dict(self.model))


class DecodingMemory:
    """A decoding state as ``generate`` passes it on; made when the first tokens say how many sequences there are."""

    is_compileable = False
    _is_user_defined = False
    is_linear = (False,)  # what is passed anew is the tokens that it has not seen

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.state: DecodingState | None = None

    def get_seq_length(self, layer: int = 0) -> int:
        """How many tokens are remembered."""
        return 0 if self.state is None else self.state.past

    def reorder_cache(self, rows: Tensor) -> None:
        """Keeps the given sequences, in their order."""
        if self.state is not None:
            self.state.select(rows)


class FormariumForCausalLM(PreTrainedModel, GenerationMixin):
    """A decoder of ours behind the interface of Hugging Face's causal language models."""

    config_class = FormariumConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    _no_split_modules = ["Block"]

    def __init__(self, config: FormariumConfig) -> None:
        super().__init__(config)
        self.model = cast(Decoder, config.decoder.build())
        self.post_init()

    @classmethod
    def wrap(cls, decoder: Decoder) -> "FormariumForCausalLM":
        """The interface around a decoder that exists."""
        wrapped = cls(FormariumConfig(decoder.config.to_dict()))
        wrapped.model = decoder
        return wrapped

    def _init_weights(self, module: nn.Module) -> None:
        """Fills tables that no file holds, which Hugging Face leaves empty; all else a decoder initialises itself."""
        tables = dict(module.named_buffers(recurse=False))
        if tables:
            path = next(name for name, found in self.named_modules() if found is module)
            with torch.device("cpu"):
                whole = cast(FormariumConfig, self.config).decoder.build()
            made = whole.get_submodule(path.removeprefix("model").removeprefix("."))
            for name, table in tables.items():
                table.copy_(made.get_buffer(name))

    def get_input_embeddings(self) -> nn.Module:
        return cast(nn.Module, self.model.stem)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: DecodingMemory | None = None,
        cache: DecodingMemory | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        num_items_in_batch: Tensor | int | None = None,
        **_: Any,
    ) -> CausalLMOutputWithPast:
        """Scores (B, T, V), and with ``labels`` (B, T; -100 is ignored) the mean loss of each token's successor.

        num_items_in_batch: what the sum of the losses is divided by instead of the number of labels.
        Positions follow from the mask; ``position_ids`` count only without a memory. past_key_values and cache are the
        older and the newer name of that memory.
        """
        memory = cache if cache is not None else past_key_values
        mask = None if attention_mask is None else attention_mask.bool()
        if use_cache and memory is None and labels is None:
            memory = DecodingMemory(self.model.config.max_length)
        if memory is not None:
            if memory.state is None:
                memory.state = self.model.new_state(len(input_ids), memory.capacity)
            newest = None if mask is None else mask[:, -input_ids.shape[1] :]
            scores = self.model.step(input_ids, memory.state, newest, last_only=logits_to_keep == 1)
        else:
            positions = position_ids if mask is None else None
            hidden = self.model.hidden(input_ids, positions=positions, mask=mask)
            scores = self.model.scores(hidden[:, -logits_to_keep:])
        loss = None
        if labels is not None:
            # Trainer counts the tokens of all accumulated batches and then does not divide by their number itself.
            flat, targets = at_least_single(scores[:, :-1].flatten(0, 1)), labels[:, 1:].flatten()
            reduction = "mean" if num_items_in_batch is None else "sum"
            loss = F.cross_entropy(flat, targets, ignore_index=-100, reduction=reduction)
            loss = loss if num_items_in_batch is None else loss / num_items_in_batch
        found: dict[str, Any] = {"loss": loss, "logits": scores, _MEMORY: memory}
        return CausalLMOutputWithPast(**found)

    def _prepare_cache_for_generation(  # type: ignore[override]
        self, generation_config: Any, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> None:
        longest = kwargs["max_cache_length"] if "max_cache_length" in kwargs else args[-1]
        if generation_config.use_cache is not False and model_kwargs.get(_MEMORY) is None:
            model_kwargs[_MEMORY] = DecodingMemory(int(longest) + 1)


def load(folder: str) -> FormariumForCausalLM:
    """The Hugging Face face of a decoder that any of ours or theirs left in a folder."""
    return FormariumForCausalLM.wrap(cast(Decoder, Model.from_pretrained(folder)))


AutoConfig.register(Decoder.model_type, FormariumConfig, exist_ok=True)
AutoModelForCausalLM.register(FormariumConfig, FormariumForCausalLM, exist_ok=True)
