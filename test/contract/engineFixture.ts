// The real engine on the bundled pack over a copy of a fixture workspace, run from the sources.

import { parseSettings, type Settings } from "../../engine/config.ts";
import { type Engine, startEngine, type Workspace } from "../../engine/engine.ts";
import { installationOf } from "../../engine/installation.ts";
import { copyWorkspace, type TestWorkspace } from "../process/workspace.ts";

export interface EngineFixture {
  readonly engine: Engine;
  readonly workspace: Workspace;
  readonly files: TestWorkspace;
  close(): Promise<void>;
}

export const SETTINGS: Settings = parseSettings({}).settings;

export async function openEngineFixture(): Promise<EngineFixture> {
  const { packsDir, workers } = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
  const files = await copyWorkspace();
  const engine = await startEngine({ packsDir, workers, settings: SETTINGS });
  const workspace = await engine.openWorkspace({ root: files.dir, storeDir: files.storageDir, settings: SETTINGS });
  await workspace.index();
  return {
    engine,
    workspace,
    files,
    close: async () => {
      workspace.close();
      await engine.close();
      await files.remove();
    },
  };
}
