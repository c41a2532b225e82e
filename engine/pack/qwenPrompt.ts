// Qwen2.5-Coder's fill-in-the-middle formats as published: one for a file alone, one for a file among others of its repository.
// Sources: arXiv 2409.12186, section 3.2, and QwenLM/Qwen2.5-Coder on GitHub at d5ead97: README.md ("Fill in the middle",
// "Repository Level Code Infilling") and examples/Qwen2.5-Coder-fim.py and -repolevel-fim.py.
import type { PackManifest } from "./pack.ts";

/** Without them a reader cannot fill in the middle. */
export const FIM_TOKENS = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|endoftext|>"] as const;

/**
 * Any ends a completion. The examples' `eos_token_ids` are all of them but `<|im_start|>`, which is no text either and opens a
 * turn of a chat.
 */
export const STOP_TOKENS = [
  "<|endoftext|>",
  "<|im_end|>",
  "<|im_start|>",
  "<|fim_prefix|>",
  "<|fim_middle|>",
  "<|fim_suffix|>",
  "<|fim_pad|>",
  "<|repo_name|>",
  "<|file_sep|>",
] as const;

const FILE = "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>";
const NEW_TOKENS = 64;

/** The budget shares out what `maxTokens` leaves: most to retrieved text, and to the left more than to the right. */
export function promptOf(maxTokens: number, stopTokens: readonly string[]): PackManifest["prompt"] {
  const room = maxTokens - NEW_TOKENS;
  const left = Math.floor(room * 0.4);
  const right = Math.floor(room * 0.12);
  // Names and separators stand outside the three budgets.
  const context = room - left - right - Math.floor(room * 0.05);
  const isOfRepository = ["<|repo_name|>", "<|file_sep|>"].every((token) => stopTokens.includes(token));
  return {
    order: "psm",
    // A reader that knows no separator of files gets the retrieved text before the file, as its own beginning.
    retrieved: isOfRepository ? "<|file_sep|>{path}\n{text}\n" : "{text}\n",
    psm: FILE,
    ...(isOfRepository
      ? { repository: { head: "<|repo_name|>{repository}\n", file: `<|file_sep|>{path}\n${FILE}` } }
      : {}),
    stopTokens,
    budget: { left, right, context, pseudoTokens: 1, newTokens: NEW_TOKENS },
  };
}
