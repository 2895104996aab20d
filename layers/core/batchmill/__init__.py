"""batchmill: batch inference for language models in your own AWS account."""

__version__ = "0.1.0"
