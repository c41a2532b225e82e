// What a file of this folder exports as `provider`; the file's name is its registration.

/** One execution provider of the runtime. */
export interface Provider {
  readonly name: string;
  /** The runtime's list for one session; the provider itself first, what it leaves over to the CPU. */
  executionProviders(): string[];
}

const NAME = /^[a-z][a-zA-Z0-9]*$/;

/** The provider of that name, or undefined when this build has none. */
export async function loadProvider(name: string): Promise<Provider | undefined> {
  if (!NAME.test(name) || name === "provider") return undefined;
  try {
    const module: { provider: Provider } = await import(`./${name}.ts`);
    return module.provider;
  } catch (error) {
    const isMissing =
      error instanceof Error &&
      (/not found in bundle/.test(error.message) || ("code" in error && error.code === "ERR_MODULE_NOT_FOUND"));
    if (isMissing) return undefined;
    throw error;
  }
}
