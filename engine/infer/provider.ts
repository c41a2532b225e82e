// What a file under providers/ exports as `provider`; the file's name is its registration.
import { isMissingModule } from "../errors.ts";

/** One execution provider of the runtime. */
export interface Provider {
  readonly name: string;
  /** What a machine must have for it, in words. */
  readonly needs: string;
  /** The runtime's own word for it, with its options; undefined for the CPU, which every session has last. */
  readonly native: string | { readonly name: string; readonly [option: string]: string | number | boolean } | undefined;
  /** Where a session can leave its outputs for its next run: only WebGPU's can stay where they were made. */
  readonly outputs: "host" | "device";
  /** What its sessions need beyond what all sessions have. */
  readonly sessionOptions?: SessionTuning;
}

/** The runtime's own words. */
export interface SessionTuning {
  readonly enableMemPattern?: boolean;
  readonly enableCpuMemArena?: boolean;
  readonly graphOptimizationLevel?: "disabled" | "basic" | "extended" | "all";
  /** The graph as it was optimised is written here. */
  readonly optimizedModelFilePath?: string;
  /** Entries of the runtime's session configuration, without their `session.`. */
  readonly configuration?: Readonly<Record<string, string>>;
}

const NAME = /^[a-z][a-zA-Z0-9]*$/;

/** The providers `auto` may choose from, in the order in which they are asked. */
export const ACCELERATORS = ["cuda", "directml", "coreml", "webgpu"] as const;

/** The provider of that name, or undefined when this build has none. */
export async function loadProvider(name: string): Promise<Provider | undefined> {
  if (!NAME.test(name)) return undefined;
  try {
    const module: { provider: Provider } = await import(`./providers/${name}.ts`);
    return module.provider;
  } catch (error) {
    if (isMissingModule(error)) return undefined;
    throw error;
  }
}
