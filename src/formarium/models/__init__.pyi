from .decoder import Decoder as Decoder
from .model import Model as Model
from .model import load as load
