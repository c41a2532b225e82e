// The remote reader against torch behind vLLM's interface: every mode, pseudo-tokens among them, beside the reader here.
//
//     python3 -m venv venv && venv/bin/pip install -r test/servers/requirements.txt
//     node test/servers/againstTorch.ts venv/bin/python
import { equal, rejects } from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { ask } from "../../engine/infer/remote/ask.ts";
import { torchTensor } from "../../engine/infer/remote/torchTensor.ts";
import { installationOf } from "../../engine/installation.ts";
import { findPack } from "../../engine/pack/pack.ts";
import { compareReaders, openReaders, print, type Readers, report } from "./compareReaders.ts";

const PORT = 18_392;
const API = `http://127.0.0.1:${PORT}/v1`;

/** torch reads a token at a time, and slowly. */
const EVERY = 4;

const [python = "python3"] = process.argv.slice(2);
const installation = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
const pack = await findPack("auto", installation.packsDir);
const script = fileURLToPath(new URL("./torch_server.py", import.meta.url));
const server = spawn(python, [script, pack, String(PORT)], { stdio: ["ignore", "pipe", "inherit"] });
let readers: Readers | undefined;
try {
  await Promise.race([
    once(server.stdout, "data"),
    once(server, "exit").then(() => Promise.reject(new Error("no server"))),
  ]);
  readers = await openReaders(installation, API);
  const { remote } = readers;
  print(JSON.stringify(await remote.survey()));
  equal(remote.server?.dialect, "vllm");
  equal(remote.server?.tokenizer, "same");
  equal(await remote.embedsFault(), undefined);
  report(await compareReaders(readers, ["none", "full", "compressed"], EVERY));
  const tooWide = torchTensor(new Float32Array(300), 300).toString("base64");
  const body = { model: remote.server?.model, prompt: "", prompt_embeds: tooWide, max_tokens: 1 };
  await rejects(ask({ url: `${API}/completions`, body, key: undefined }), /ENDPOINT_FAILED.*hidden_size 300/);
  print("rows of another width are refused by name; all of it as expected");
} finally {
  server.kill();
  await readers?.close();
}
