// Links of an explanation: `parcels/desk.py#L3-L12`, relative to the workspace folder.

export interface ExplanationLink {
  /** Relative to the workspace folder, with forward slashes. */
  readonly path: string;
  /** 1-based, inclusive. */
  readonly from: number;
  readonly to: number;
}

/** Undefined for anything else: an address, an absolute path, a way out of the folder. */
export function parseExplanationLink(href: string): ExplanationLink | undefined {
  const [, encoded, from, to] = /^([^#:?]+)#L(\d+)(?:-L(\d+))?$/.exec(href) ?? [];
  const path = encoded === undefined ? undefined : decoded(encoded);
  if (path === undefined || from === undefined) return undefined;
  if (/^[\\/]/.test(path) || /^[a-z]:/i.test(path) || path.split(/[\\/]/).includes("..")) return undefined;
  return { path, from: Number(from), to: Number(to ?? from) };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
