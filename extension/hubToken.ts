// The token for a hub: asked of the person, kept in the editor's secret storage, told to the engine with a download alone. Each
// token belongs to one server, so that settings that name another one do not get it.
import { type ExtensionContext, window } from "vscode";

export interface HubTokens {
  /** The one for that scheme, host and port. */
  of(origin: string): PromiseLike<string | undefined>;
  /** Asks for it; false when the person thinks better of it. */
  ask(origin: string): Promise<boolean>;
}

export function createHubTokens({ secrets }: ExtensionContext): HubTokens {
  return {
    of: (origin) => secrets.get(nameOf(origin)),
    async ask(origin) {
      const token = await window.showInputBox({
        title: `Token for ${origin}`,
        prompt: "It is kept in the editor's secret storage and sent to this server alone. Empty: none.",
        password: true,
        ignoreFocusOut: true,
      });
      if (token === undefined) return false;
      if (token.trim() === "") await secrets.delete(nameOf(origin));
      else await secrets.store(nameOf(origin), token.trim());
      return true;
    },
  };
}

function nameOf(origin: string): string {
  return `precis.hubToken ${origin}`;
}
