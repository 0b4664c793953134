"""formarium: Transformer papers kept alive, as parts to import, models to run and claims to put to the proof."""

__version__ = "0.1.0"
