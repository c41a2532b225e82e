// The Python files under a folder, in a fixed order.
import { readdir } from "node:fs/promises";

export async function pythonFiles(root: string): Promise<string[]> {
  return (await readdir(root, { recursive: true })).filter((path) => path.endsWith(".py")).sort();
}
