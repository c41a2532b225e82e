// Every setting: type, default, limits, words. One table; package.json's contributes.configuration is tested against it.
import { Ajv } from "ajv";
import type { ModeChoice } from "./domain.ts";
import type { Problem } from "./errors.ts";

/** Rows are VS Code configuration properties (JSON schema); keys lack the `precis.` prefix. */
export const SETTINGS = {
  enabled: {
    type: "boolean",
    default: true,
    description: "Offer completions. “Precis: Toggle Completions” flips this.",
  },
  mode: {
    type: "string",
    enum: ["auto", "none", "full", "compressed"],
    default: "auto",
    enumDescriptions: [
      "Automatic: what the model pack says it is best at; full RAG where it does not say.",
      "Off: the reader sees only the current file.",
      "Full RAG: retrieved code is put into the prompt as text.",
      "Compressed: retrieved code is given as a few pseudo-tokens; fastest with repository knowledge.",
    ],
    description: "How much of the workspace a completion sees.",
  },
  pack: {
    type: "string",
    default: "auto",
    scope: "machine-overridable",
    description:
      "Model pack: `auto`, the name of a bundled pack or of one on this machine, or the path of a pack folder. “Precis: Choose Model” sets it.",
  },
  "hub.endpoint": {
    type: "string",
    default: "",
    scope: "machine-overridable",
    description:
      "Address of the Hugging Face Hub, or of a mirror, that “Precis: Choose Model” downloads from. Empty: HF_ENDPOINT of the environment, else the public hub. Only that command contacts it.",
  },
  "reader.endpoint": {
    type: "string",
    default: "",
    scope: "machine-overridable",
    description:
      "Address of an OpenAI-compatible completions server that reads and writes in place of the pack's own reader, such as `http://gpu.example:8000/v1`. Text around the cursor and retrieved code are sent there, and nowhere else. The pack must describe the served model. Empty: everything stays on this machine.",
  },
  "reader.model": {
    type: "string",
    default: "",
    scope: "machine-overridable",
    description: "Model that the server at `#precis.reader.endpoint#` is asked for. Empty: the first it lists.",
  },
  languages: {
    type: "object",
    additionalProperties: { type: "boolean" },
    default: {},
    description:
      'Language ids for which completions are offered while typing, such as `{ "python": true, "markdown": false }`; `*` stands for all others. A language that is not named is on if the pack was trained on it. A manual trigger always works.',
  },
  "completion.maxLines": {
    type: "integer",
    default: 8,
    minimum: 1,
    maximum: 20,
    description:
      "Most lines of one completion. One line is offered, and several only where a block or documentation begins.",
  },
  "completion.debounceMs": {
    type: "integer",
    default: 60,
    minimum: 0,
    maximum: 2000,
    description:
      "Least milliseconds without typing before a completion is computed; the wait grows with the rhythm of typing and with dismissals. A manual trigger never waits.",
  },
  "completion.deadlineMs": {
    type: "integer",
    default: 5000,
    minimum: 100,
    maximum: 60000,
    description: "Milliseconds after which a completion is given up.",
  },
  "completion.gate": {
    type: "string",
    enum: ["off", "balanced", "strict"],
    default: "balanced",
    enumDescriptions: [
      "Every completion is shown.",
      "Completions that are likely to be refused stay hidden.",
      "Only completions that are very likely to be taken are shown.",
    ],
    description: "Which completions are good enough to show. A manual trigger shows all of them.",
  },
  "completion.learn": {
    type: "boolean",
    default: true,
    description:
      "Whether the gate learns from the completions that you accept, keep and dismiss. It does so on this machine alone; “Precis: Forget Statistics” takes it back.",
  },
  "retrieval.retrievers": {
    type: "array",
    items: { type: "string", pattern: "^[a-z][a-zA-Z0-9]*$" },
    uniqueItems: true,
    default: ["jaccard", "bm25", "hierarchy", "recent"],
    description: "Retrievers whose ranks are merged.",
  },
  "retrieval.minOverlap": {
    type: "number",
    default: 0,
    minimum: 0,
    maximum: 1,
    description:
      "Share of identifiers, 0 to 1, that the most similar code must have in common with the code around the cursor. Below it nothing is retrieved; 0 always retrieves. Needs the retriever `jaccard`.",
  },
  "index.maxFileKiB": {
    type: "integer",
    default: 1024,
    minimum: 1,
    maximum: 65536,
    description: "Files larger than this many KiB are not indexed.",
  },
  "index.maxDiskMiB": {
    type: "integer",
    default: 200,
    minimum: 1,
    maximum: 1048576,
    description:
      "MiB that the index of a folder may take. Beyond it, vectors are kept more coarsely, then the files untouched longest are left out.",
  },
  "index.exclude": {
    type: "array",
    items: { type: "string" },
    default: [],
    description: "Patterns left out of the index, in .gitignore syntax, beside the workspace's own .gitignore files.",
  },
  "index.onBattery": {
    type: "string",
    enum: ["pauseWhenLow", "pause", "run"],
    default: "pauseWhenLow",
    enumDescriptions: [
      "Background indexing waits while the machine runs on its battery with less than 30 % of charge.",
      "Background indexing waits whenever the machine runs on its battery.",
      "Background indexing takes no notice of the battery.",
    ],
    description:
      "Whether background indexing waits for mains power. Completions, the files you edit and “Precis: Index Now” never wait.",
  },
  "index.otherText": {
    type: "boolean",
    default: true,
    description: "Index text of other kinds too: Markdown, configuration, SQL, shell and whatever else people write.",
  },
  "execution.providers": {
    type: "array",
    items: { type: "string", pattern: "^[a-z][a-zA-Z0-9]*$" },
    minItems: 1,
    uniqueItems: true,
    default: ["auto"],
    description:
      "Execution providers, in order of preference: `cpu`, `cuda`, `webgpu`, `directml`, `coreml`. `auto` is the fastest of them that gives right answers, tried once in the background. What cannot run here falls back to the next, and last to the CPU.",
  },
  "execution.threads": {
    type: "integer",
    default: 0,
    minimum: 0,
    maximum: 64,
    description: "Threads for inference; 0 leaves one core to the editor.",
  },
  "execution.unloadAfterMinutes": {
    type: "integer",
    default: 15,
    minimum: 0,
    maximum: 1440,
    description:
      "Minutes without a completion or indexing after which the models leave memory; 0 for never. The next request loads them again.",
  },
} as const;

export interface Settings {
  readonly enabled: boolean;
  readonly mode: ModeChoice;
  readonly pack: string;
  readonly "hub.endpoint": string;
  readonly "reader.endpoint": string;
  readonly "reader.model": string;
  /** By the editor's language ids; `*` stands for all that are not named. */
  readonly languages: Readonly<Record<string, boolean>>;
  readonly "completion.maxLines": number;
  readonly "completion.debounceMs": number;
  readonly "completion.deadlineMs": number;
  readonly "completion.gate": "off" | "balanced" | "strict";
  readonly "completion.learn": boolean;
  readonly "retrieval.retrievers": readonly string[];
  readonly "retrieval.minOverlap": number;
  readonly "index.maxFileKiB": number;
  readonly "index.maxDiskMiB": number;
  readonly "index.exclude": readonly string[];
  readonly "index.otherText": boolean;
  readonly "index.onBattery": "pauseWhenLow" | "pause" | "run";
  readonly "execution.providers": readonly string[];
  readonly "execution.threads": number;
  readonly "execution.unloadAfterMinutes": number;
}

type SettingName = keyof typeof SETTINGS;
const NAMES = Object.keys(SETTINGS) as SettingName[];

/** The value of a dotted key in a nested or flat settings object, as `workspace/configuration` gives it. */
function lookUp(raw: unknown, dotted: string): unknown {
  if (typeof raw !== "object" || raw === null) return undefined;
  if (dotted in raw) return (raw as Record<string, unknown>)[dotted];
  let value: unknown = raw;
  for (const part of dotted.split(".")) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** Never throws: a value that does not fit keeps its default and is reported as a problem. */
export function parseSettings(raw: unknown): { settings: Settings; problems: Problem[] } {
  const ajv = new Ajv({ strict: false });
  const problems: Problem[] = [];
  const values: Record<string, unknown> = {};
  for (const name of NAMES) {
    const row = SETTINGS[name];
    const given = lookUp(raw, name);
    const isGiven = given !== undefined && given !== null;
    if (isGiven && !ajv.validate(row, given)) {
      problems.push({
        code: "SETTING_IGNORED",
        detail: `precis.${name} ${ajv.errorsText(ajv.errors, { dataVar: "value" })}; using ${JSON.stringify(row.default)}`,
      });
      values[name] = row.default;
    } else {
      values[name] = isGiven ? given : row.default;
    }
  }
  return { settings: values as unknown as Settings, problems };
}
