"""The bundled reader in torch behind vLLM's completions interface: what `prompt_embeds` means to a server that is not ours.

    python torch_server.py PACK PORT

vLLM itself has no build for a machine without an accelerator. This is no copy of it: it answers the requests that vLLM
documents, and takes the tensor as vLLM does, by `torch.load` with `weights_only`, in the model's own dtype.
"""

import base64
import io
import json
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from pack_weights import load
from tokenizers import Tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

TOP = 2


class Reader:
    def __init__(self, pack: Path) -> None:
        weights = load(pack)
        shape = weights.manifest["reader"]
        config = Qwen2Config(
            vocab_size=shape["vocabSize"],
            hidden_size=shape["readerDim"],
            intermediate_size=weights.ffn,
            num_hidden_layers=shape["layers"],
            num_attention_heads=weights.heads,
            num_key_value_heads=shape["kvHeads"],
            max_position_embeddings=shape["maxTokens"],
            rms_norm_eps=weights.epsilon,
            rope_parameters={"rope_type": "default", "rope_theta": weights.theta},
            tie_word_embeddings=False,
        )
        tensors = {name: torch.from_numpy(each.copy()) for name, each in weights.tensors.items()}
        self.bias = tensors.pop("lm_head.bias")
        self.model = Qwen2ForCausalLM(config).eval()
        self.model.load_state_dict(tensors)
        self.tokenizer = Tokenizer.from_file(str(pack / weights.manifest["tokenizer"]["file"]))
        self.name = weights.manifest["id"]

    def rows(self, body: dict[str, Any]) -> torch.Tensor:
        """[positions, hidden]. Raises ValueError with vLLM's words."""
        hidden = self.model.config.hidden_size
        if body.get("prompt_embeds") is not None:
            payload = base64.b64decode(body["prompt_embeds"], validate=True)
            with torch.sparse.check_sparse_tensor_invariants():
                tensor = torch.load(io.BytesIO(payload), weights_only=True, map_location=torch.device("cpu")).to_dense()
            if tensor.dim() != 2 or not tensor.is_floating_point():
                raise ValueError(f"`prompt_embeds` must be a 2D tensor; got shape {tuple(tensor.shape)}.")
            if tensor.shape[1] != hidden:
                raise ValueError(f"`prompt_embeds` hidden_size {tensor.shape[1]} does not match the model's {hidden}.")
            return tensor.to(self.model.dtype)
        prompt = body["prompt"]
        ids = self.tokenizer.encode(prompt).ids if isinstance(prompt, str) else prompt
        return self.model.get_input_embeddings()(torch.tensor(ids))

    @torch.no_grad()
    def write(self, body: dict[str, Any]):  # noqa: ANN201
        """Yields choices, as vLLM streams them."""
        rows, past = self.rows(body)[None], None
        stops = set(body.get("stop_token_ids") or [])
        for n in range(body["max_tokens"]):
            out = self.model(inputs_embeds=rows, past_key_values=past, use_cache=True)
            past = out.past_key_values
            log_probs = torch.log_softmax(out.logits[0, -1].float() + self.bias, dim=-1)
            top = torch.topk(log_probs, TOP)
            token = int(top.indices[0])
            is_stop = token in stops
            names = {f"token_id:{int(i)}": float(v) for i, v in zip(top.indices, top.values, strict=True)}
            yield {
                "index": 0,
                "text": "" if is_stop else self.tokenizer.decode([token], skip_special_tokens=True),
                "logprobs": {
                    "tokens": [f"token_id:{token}"],
                    "token_logprobs": [float(top.values[0])],
                    "top_logprobs": [names],
                },
                "finish_reason": "stop" if is_stop else "length" if n + 1 == body["max_tokens"] else None,
                "stop_reason": token if is_stop else None,
                "token_ids": [token],
            }
            if is_stop:
                return
            rows = self.model.get_input_embeddings()(torch.tensor([[token]]))


def handler_of(reader: Reader) -> type[BaseHTTPRequestHandler]:
    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            # A client that has its line closes the connection.
            with suppress(BrokenPipeError, ConnectionResetError):
                super().handle()

        def answer(self, status: int, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.answer(200, {"object": "list", "data": [{"id": reader.name, "object": "model", "owned_by": "vllm"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path == "/tokenize":
                ids = reader.tokenizer.encode(body["prompt"]).ids
                self.answer(200, {"count": len(ids), "max_model_len": 1152, "tokens": ids, "token_strs": None})
                return
            try:
                choices = reader.write(body)
                first = next(choices)
            except ValueError as error:
                self.answer(400, {"error": {"message": str(error), "type": "BadRequestError", "code": 400}})
                return
            if not body.get("stream"):
                self.answer(200, {"choices": [first, *choices][-1:]})
                return
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True
            for choice in (first, *choices):
                self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
                self.wfile.flush()
            self.wfile.write(b"data: [DONE]\n\n")

    return Requests


if __name__ == "__main__":
    torch.set_num_threads(1)
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), handler_of(Reader(Path(sys.argv[1]))))
    print("ready", flush=True)
    server.serve_forever()
