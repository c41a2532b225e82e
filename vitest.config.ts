// Tests that need no editor. Each file gets a process of its own: native modules and wasm do not share one well.
import { defineConfig } from "vitest/config";

/** The limit only ends what hangs: a busy machine takes ten times as long as an idle one. */
const project = (name: string, limitMs: number) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    environment: "node",
    pool: "forks" as const,
    testTimeout: limitMs,
    hookTimeout: limitMs,
  },
});

export default defineConfig({
  test: { projects: [project("unit", 60_000), project("contract", 180_000), project("process", 300_000)] },
});
