// What a file under providers/ exports as `provider`; the file's name is its registration.
import { isMissingModule } from "../errors.ts";
/** One execution provider of the runtime. */
export interface Provider {
  readonly name: string;
  /** The runtime's list for one session; the provider itself first, what it leaves over to the CPU. */
  executionProviders(): string[];
}

const NAME = /^[a-z][a-zA-Z0-9]*$/;

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
