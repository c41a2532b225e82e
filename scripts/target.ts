// The platform a package is made for, in the words of VS Code and of each native package.
import { readdirSync } from "node:fs";

export interface Target {
  /** VS Code's name, e.g. `linux-x64`. */
  readonly name: string;
  /** Lines for .vscodeignore that let this platform's binaries in, and no other's. */
  readonly binaries: readonly string[];
}

/** Platforms for which onnxruntime-node, better-sqlite3 and sqlite-vec all bring a binary. */
const SUPPORTED = ["linux-x64", "linux-arm64", "darwin-arm64", "win32-x64"];

export function thisTarget(): Target {
  const { platform, arch } = process;
  const name = `${platform}-${arch}`;
  if (!SUPPORTED.includes(name) || isMusl()) {
    throw new Error(
      `There are no native binaries for ${name}${isMusl() ? " with musl" : ""}; there are for ${SUPPORTED.join(", ")}.`,
    );
  }
  const vectors = `sqlite-vec-${platform === "win32" ? "windows" : platform}-${arch}`;
  return {
    name,
    binaries: [
      `!node_modules/onnxruntime-node/bin/napi-v6/${platform}/${arch}/**`,
      // A copy of the same library under a second name, which nothing loads.
      "node_modules/onnxruntime-node/bin/**/libonnxruntime.1.*.*.dylib",
      `!node_modules/better-sqlite3/prebuilds/${name}.node`,
      `!node_modules/${vectors}/**`,
    ],
  };
}

function isMusl(): boolean {
  return process.platform === "linux" && readdirSync("/lib").some((name) => name.startsWith("ld-musl-"));
}
