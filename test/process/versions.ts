// A workspace whose every chunk tells which version of its file it belongs to.

export const FILES = Array.from({ length: 12 }, (_, n) => `f${n}.py`);

/** Functions in that version: neighbouring versions differ. */
export function countOf(version: number): number {
  return 3 + (version % 4);
}

export function textOf(file: string, version: number): string {
  return Array.from(
    { length: countOf(version) },
    (_, n) => `def of_${file.slice(0, -3)}_${n}(a, b, c):\n    return a + b * c - ${n} + version_${version}\n`,
  ).join("\n\n");
}
