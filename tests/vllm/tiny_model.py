"""Makes a tiny Llama on the spot: random weights, a BPE tokenizer trained on Python's own sources, a chat template.

    .venv-vllm/bin/python tests/vllm/tiny_model.py FOLDER

It writes nonsense, always the same (one seed), and speaks every protocol that a large one does. Run by the vLLM
environment's Python; nothing is downloaded. A folder that is complete is left alone.
"""

from __future__ import annotations

import json
import string
import sys
from pathlib import Path

import torch  # type: ignore[import-not-found]
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (  # type: ignore[import-not-found]
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

SPECIAL = ["<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>"]
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
VOCABULARY = 2048
POSITIONS = 2048


def main(folder: Path) -> None:
    """Write model and tokenizer to `folder`."""
    done = folder / "complete.json"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    model = _model(len(tokenizer))
    model.save_pretrained(folder)
    size = sum(parameter.numel() for parameter in model.parameters())
    done.write_text(json.dumps({"parameters": size, "vocabulary": len(tokenizer), "seed": 0}))


def _tokenizer() -> PreTrainedTokenizerFast:
    sources = sorted(Path(string.__file__).parent.glob("[a-e]*.py"))
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator((path.read_text("utf-8", "replace") for path in sources), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        chat_template=TEMPLATE,
        model_max_length=POSITIONS,
    )


def _model(vocabulary: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=POSITIONS,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        dtype="float32",
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0)
    return model


if __name__ == "__main__":
    main(Path(sys.argv[1]))
