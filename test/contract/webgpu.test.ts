// The bundled reader on WebGPU, its keys and values on the device, against the CPU. A machine without a GPU has an adapter
// in software: SwiftShader, which comes with Chromium, and Chromium's own Vulkan loader.
import { fork } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import type { Probe } from "../../engine/infer/probe.ts";
import { findChromium } from "../../scripts/chromium.ts";
import type { ReaderComparison } from "./webgpuReader.ts";

const TIMEOUT_MS = 180_000;
/** Natural logarithms. The CPU's kernels quantise activations to 8 bits, WebGPU's do not. */
const TOLERANCE = 0.2;

/** With an adapter in software where Chromium brings one; a GPU's driver is found without. */
function environment(): NodeJS.ProcessEnv {
  const chromium = findChromium();
  const folders = chromium === undefined ? [] : [dirname(realpathSync(chromium)), "/usr/lib/chromium"];
  const folder = folders.find((each) => existsSync(join(each, "vk_swiftshader_icd.json")));
  if (folder === undefined) return process.env;
  const paths = [process.env["LD_LIBRARY_PATH"], folder].filter((path) => path !== undefined && path !== "");
  return {
    ...process.env,
    VK_ICD_FILENAMES: join(folder, "vk_swiftshader_icd.json"),
    LD_LIBRARY_PATH: paths.join(":"),
  };
}

/** The one message of a process; a driver may end it. */
function answerOf<T>(script: string, ...args: string[]): Promise<T> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL(script, import.meta.url), args, {
      env: environment(),
      execArgv: [],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let errors = "";
    child.stderr?.on("data", (text: Buffer) => {
      errors += text.toString();
    });
    child.on("message", (message: T) => resolve(message));
    child.on("exit", (code, signal) =>
      reject(new Error(`${script} ended with ${signal ?? code}: ${errors.slice(-2000)}`)),
    );
  });
}

/** What the runtime says where there is nothing to run on; anything else is a failure. */
const NO_ADAPTER = /adapter|built without|Failed to load/;

it(
  "WebGPU gives the CPU's tokens: cold, rewound in the kept cache, and behind pseudo-tokens",
  async ({ skip }) => {
    const { problems, cpu, webgpu } = await answerOf<ReaderComparison>("./webgpuReader.ts");
    const [problem = ""] = problems;
    // A test that did not run says why.
    skip(NO_ADAPTER.test(problem), problem);
    expect(problems).toEqual([]);
    for (const [n, expected] of cpu.entries()) {
      const actual = webgpu[n];
      if (actual === undefined) throw new Error(`${expected.input} is missing`);
      expect(actual).toMatchObject({
        input: expected.input,
        tokens: expected.tokens,
        reusedTokens: expected.reusedTokens,
      });
      for (const [i, logProb] of expected.logProbs.entries())
        expect(Math.abs((actual.logProbs[i] ?? Number.NaN) - logProb)).toBeLessThan(TOLERANCE);
    }
    expect(cpu.map(({ reusedTokens }) => reusedTokens > 0)).toEqual([false, true, false]);
  },
  TIMEOUT_MS,
);

it(
  "a probe of the same adapter answers yes, or says what it cannot",
  async () => {
    const { provider, runs, detail } = await answerOf<Probe>("../../engine/infer/probeProcess.ts", "webgpu");
    expect(provider).toBe("webgpu");
    expect(detail).toMatch(
      runs.length > 0 ? /^runs the reader's operators/ : /adapter|wrong by [\d.]+ over \d+ tokens|built without|Failed/,
    );
  },
  TIMEOUT_MS,
);
