"""A pack's reader and tokenizer -> one GGUF file, so that llama.cpp's server serves the very reader that runs here.

    python pack_to_gguf.py PACK OUT.gguf
"""

import json
import sys
from pathlib import Path

import gguf
from pack_weights import Weights, load

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers.": "blk.",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def main(pack: Path, out: Path) -> None:
    weights = load(pack)
    writer = gguf.GGUFWriter(str(out), "qwen2")
    write_shape(writer, weights)
    write_tokenizer(writer, pack, weights.manifest)
    for name, rows in weights.tensors.items():
        for theirs, ours in NAMES.items():
            name = name.replace(theirs, ours)
        writer.add_tensor(name, rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_shape(writer: gguf.GGUFWriter, weights: Weights) -> None:
    shape = weights.manifest["reader"]
    writer.add_name(weights.manifest["id"])
    writer.add_block_count(shape["layers"])
    writer.add_context_length(shape["maxTokens"])
    writer.add_embedding_length(shape["readerDim"])
    writer.add_feed_forward_length(weights.ffn)
    writer.add_head_count(weights.heads)
    writer.add_head_count_kv(shape["kvHeads"])
    writer.add_layer_norm_rms_eps(weights.epsilon)
    writer.add_rope_freq_base(weights.theta)


def write_tokenizer(writer: gguf.GGUFWriter, pack: Path, manifest: dict) -> None:
    tokenizer = json.loads((pack / manifest["tokenizer"]["file"]).read_text())
    special = {each["content"]: each["id"] for each in tokenizer["added_tokens"]}
    vocab = {**tokenizer["model"]["vocab"], **special}
    tokens = [token for token, _ in sorted(vocab.items(), key=lambda pair: pair[1])]
    merges = [each if isinstance(each, str) else " ".join(each) for each in tokenizer["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens])
    writer.add_token_merges(merges)
    writer.add_eos_token_id(special[manifest["prompt"]["stopTokens"][0]])
    writer.add_add_bos_token(False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
