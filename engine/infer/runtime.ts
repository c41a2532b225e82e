// How sessions of this process run: which providers, how many threads.
import { availableParallelism } from "node:os";
import type { Problem } from "../errors.ts";
import { loadProvider, type Provider } from "./provider.ts";

export interface Runtime {
  readonly providers: readonly Provider[];
  readonly threads: number;
  /** False: the reader has no kernels of its own, and its weights lie in memory once. */
  readonly kernels?: boolean;
}

/** Providers in the order of the setting, `cpu` added last; unknown names become problems. `threads` 0 means all cores but one. */
export async function openRuntime(
  names: readonly string[],
  threads: number,
): Promise<{ runtime: Runtime; problems: Problem[] }> {
  const problems: Problem[] = [];
  const providers: Provider[] = [];
  for (const name of new Set([...names, "cpu"])) {
    const provider = await loadProvider(name);
    if (provider === undefined)
      problems.push({ code: "PROVIDER_FELL_BACK", detail: `no execution provider named ${name} in this build` });
    else providers.push(provider);
  }
  const leaveOneCore = Math.max(1, availableParallelism() - 1);
  return { runtime: { providers, threads: threads === 0 ? leaveOneCore : threads }, problems };
}
