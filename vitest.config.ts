// Tests that need no editor. Each file gets a process of its own: native modules and wasm do not share one well.
import { defineConfig } from "vitest/config";

const project = (name: string, testTimeout: number) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], environment: "node", pool: "forks" as const, testTimeout },
});

export default defineConfig({
  test: { projects: [project("unit", 15_000), project("contract", 60_000), project("process", 120_000)] },
});
