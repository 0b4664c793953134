"""What every model can do: be described, counted, saved and loaded."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import formarium
from formarium.config import BaseConfig, ConfigError, Configurable, check_from_0, config_from_dict
from formarium.errors import CheckpointError
from formarium.files import read_object, replacing
from formarium.parts.dropout import check_share
from formarium.parts.linear import ResidualLinear
from formarium.parts.stems.token_embedding import TokenEmbedding

T = TypeVar("T", bound=nn.Module)

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


class Model(Configurable, nn.Module):
    """A complete architecture, built by ``Model(config)``; a folder of config.json and model.safetensors keeps it."""

    model_type: ClassVar[str] = "formarium"
    config: BaseConfig

    def num_parameters(self, embeddings: bool = True) -> int:
        """How many trainable numbers the model has; without ``embeddings``, those of token tables left out."""
        tables = {id(m.weight) for m in self.modules() if isinstance(m, TokenEmbedding | nn.Embedding)}
        parameters = (p for p in self.parameters() if p.requires_grad)
        return sum(p.numel() for p in parameters if embeddings or id(p) not in tables)

    def regions(self) -> list[nn.Module]:
        """What a compiler takes one by one: for models whose inputs have another shape at each step; else nothing."""
        return []

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes config.json and model.safetensors, each whole or not at all."""
        folder = Path(folder)
        weights = {name: tensor.detach().contiguous() for name, tensor in self.state_dict().items()}
        with replacing(folder / WEIGHTS) as temporary:
            save_file(weights, temporary, metadata={"format": "pt"})
        with replacing(folder / CONFIG) as temporary:
            temporary.write_text(json.dumps(self.config_file(), indent=2) + "\n", encoding="utf-8")
        # Some versions of safetensors let nobody but the owner read what they write.
        shutil.copymode(folder / CONFIG, folder / WEIGHTS)

    def config_file(self) -> dict[str, Any]:
        """The content of config.json."""
        return {"model_type": self.model_type, "formarium": formarium.__version__, "model": self.config.to_dict()}

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """The model that ``save_pretrained`` left in a folder; CheckpointError if absent, damaged or another's."""
        folder = Path(folder)
        data = read_object(folder / CONFIG, "model configuration")
        if "model" not in data:
            raise CheckpointError(f"{folder} holds no formarium model: its {CONFIG} has no entry 'model'")
        config = config_from_dict(data["model"])
        if not (isinstance(config.builds, type) and issubclass(config.builds, cls)):
            raise CheckpointError(f"{folder} holds a {config.name()}, not a {cls.__name__}")
        model = config.build()
        # Hugging Face saves the same model one level down.
        weights = {name.removeprefix("model."): tensor for name, tensor in read_weights(folder / WEIGHTS).items()}
        model.load_weights(weights, str(folder))
        return cast(Self, model)

    def load_weights(self, weights: Mapping[str, Tensor], where: str) -> None:
        """Takes tensors by name; CheckpointError, with the first misfits, unless they are exactly this model's."""
        own = self.state_dict()
        absent = [name for name in own if name not in weights]
        extra = [name for name in weights if name not in own]
        shapes = [n for n, t in weights.items() if n in own and own[n].shape != t.shape]
        if absent or extra or shapes:
            notes = [
                f"{what} {', '.join(n[:3])}"
                for what, n in (("lacking", absent), ("unknown", extra), ("of another shape", shapes))
                if n
            ]
            raise CheckpointError(f"{where} holds the weights of another model: {'; '.join(notes)}")
        self.load_state_dict(dict(weights))


def load(folder: str | Path) -> Model:
    """The model of whatever kind that a folder holds."""
    return Model.from_pretrained(folder)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a torch file that holds tensors only; CheckpointError if damaged."""
    if not path.exists():
        raise CheckpointError(f"there are no weights at {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"the weights at {path} are damaged or truncated: {error}") from None
    except Exception as error:  # torch.load raises many kinds for a file that is no checkpoint of plain tensors
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path} is not a readable file of plain tensors: {reason}") from None
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path} holds a {type(loaded).__name__}, not named tensors")
    return {k: v for k, v in loaded.items() if isinstance(v, Tensor)}


def built(config: BaseConfig, kind: type[T], slot: str, **surroundings: object) -> T:
    """The part that a configuration builds; ConfigError where it is not of the kind that the slot of a model takes."""
    check_share(getattr(config, "dropout", 0.0))
    part = config.build(**surroundings)
    if not isinstance(part, kind):
        raise ConfigError(f"the slot {slot!r} takes a {kind.__name__}, which {config.name()} is not")
    return part


def start_spread(std: float | None, width: int) -> float:
    """The standard deviation that weights start with: std, or SmallInit's sqrt(2 / 5 width) where that is None."""
    if std is None:
        return float((2 / (5 * width)) ** 0.5)
    check_from_0(std, "the standard deviation that weights start with")
    return std


def initialise(model: nn.Module, std: float | None, depth: int, width: int) -> None:
    """Linear maps and token tables from a normal cut at 3 std; what writes into the residual stream / sqrt(2 depth).

    std: where None sqrt(2 / 5 width) (SmallInit; Nguyen and Salazar 2019, arXiv 1910.05895), which is the usual 0.02 at
    a width of 1,000. A narrow model with 0.02 itself passes next to nothing on, and stays with the frequencies of
    tokens for hundreds of steps. Parts that hold bare parameters keep the start that their paper gives them.
    """
    std = start_spread(std, width)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            scale = std / (2 * depth) ** 0.5 if isinstance(module, ResidualLinear) else std
            nn.init.trunc_normal_(module.weight, std=scale, a=-3 * scale, b=3 * scale)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, TokenEmbedding) and module.config.std is None:
            nn.init.trunc_normal_(module.weight, std=std, a=-3 * std, b=3 * std)
