// The native packages need Node-API 10. On an older Node the command goes on in the Node that the checkout pins.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const NEEDED_NODE_API = 10;

/** True when another process has taken over; its exit status becomes ours. */
export function relaunchIfTooOld(entry: string): boolean {
  if (Number(process.versions["napi"]) >= NEEDED_NODE_API) return false;
  const pinned = fileURLToPath(new URL("../node_modules/node/bin/node", entry));
  if (!existsSync(pinned)) {
    process.stderr.write(
      `NODE_TOO_OLD: this is Node ${process.versions.node}. Use Node 22 or newer; npm install in the checkout brings Node 24.\n`,
    );
    process.exitCode = 1;
    return true;
  }
  const child = spawn(pinned, process.argv.slice(1), { stdio: "inherit" });
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => child.kill(name));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal === null ? 1 : 130);
  });
  return true;
}
