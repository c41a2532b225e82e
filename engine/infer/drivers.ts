// What a provider's outcome depends on beside the provider: the runtime, the system and its graphics drivers.
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { arch, homedir, platform, release } from "node:os";
import { join } from "node:path";
import { librariesFolder, runtimeFolder } from "./runtimeLibraries.ts";

/** Where drivers and their manifests lie; a folder stands for the files in it. Missing ones count as missing. */
function placesOf(system: NodeJS.Platform): string[] {
  switch (system) {
    case "win32": {
      const root = join(process.env["SystemRoot"] ?? "C:\\Windows", "System32");
      return [
        ...["vulkan-1.dll", "nvcuda.dll", "DirectML.dll", "d3d12.dll"].map((file) => join(root, file)),
        join(root, "DriverStore", "FileRepository"),
      ];
    }
    case "darwin":
      // Drivers come with the system, whose release is counted.
      return [];
    default:
      return [
        "/proc/driver/nvidia/version",
        "/usr/share/vulkan/icd.d",
        "/etc/vulkan/icd.d",
        join(homedir(), ".local/share/vulkan/icd.d"),
        "/dev/dri",
        ...["/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"].flatMap((folder) =>
          ["libvulkan.so.1", "libcuda.so.1"].map((file) => join(folder, file)),
        ),
      ];
  }
}

/** The same string as long as the same drivers, system and runtime are there. */
export async function driverFingerprint(): Promise<string> {
  const hash = createHash("sha256");
  const add = (...words: readonly unknown[]) => hash.update(`${words.join(" ")}\n`);
  add(platform(), arch(), release());
  for (const name of ["VK_ICD_FILENAMES", "VK_DRIVER_FILES", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH"])
    add(name, process.env[name] ?? "");
  // Someone may put another provider's libraries beside the runtime's own.
  add((await textOf(join(runtimeFolder(), "package.json"))) ?? "no runtime");
  for (const place of [librariesFolder(), ...placesOf(platform())]) add(place, await stateOf(place));
  return hash.digest("hex").slice(0, 16);
}

/** Size and time of a file, or of each file in a folder. */
async function stateOf(place: string): Promise<string> {
  const found = await stat(place).catch(() => undefined);
  if (found === undefined) return "missing";
  // Files under /proc have neither.
  if (place.startsWith("/proc/")) return (await textOf(place)) ?? "missing";
  if (!found.isDirectory()) return `${found.size} ${found.mtimeMs}`;
  const names = await readdir(place).catch(() => []);
  return `${found.mtimeMs} ${names.sort().join(" ")}`;
}

function textOf(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch(() => undefined);
}
