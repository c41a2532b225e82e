// Whether a text holds a secret: tokens whose shape leaves no doubt, and random values assigned to telling names.

/** A private key with its body, and tokens of providers. What documentation shows as an example is none. */
const TOKENS = [
  /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----[\s"'\\n+]*(?:[A-Za-z0-9+/=]{40}|Proc-Type|Version)/,
  /\b(?:AKIA|ASIA)(?![A-Z0-9]*EXAMPLE)[A-Z0-9]{16}\b/,
  /\bgh[pousr]_[A-Za-z0-9]{36}\b/,
  /\bgithub_pat_[A-Za-z0-9_]{60,}\b/,
  /\bglpat-[A-Za-z0-9_-]{20}\b/,
  /\bxox[abeprs]-[0-9]+-[0-9A-Za-z-]{20,}\b/,
  /\bhooks\.slack\.com\/services\/T[A-Z0-9]{8,}\/B[A-Z0-9]{8,}\/[A-Za-z0-9]{20,}/,
  /\bAIza[0-9A-Za-z_-]{35}\b/,
  /\bya29\.[0-9A-Za-z_-]{40,}/,
  /\b[sr]k_live_[0-9A-Za-z]{24,}\b/,
  /\bsk-(?:(?:ant|proj|svcacct)-[A-Za-z0-9_-]{40,}|[A-Za-z0-9]{40,})/,
  /\bnpm_[A-Za-z0-9]{36}\b/,
  /\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}/,
  /\bhf_[A-Za-z]{34}\b/,
  /\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b/,
  /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}/,
];

/** How the tokens above begin, as one pattern: nearly every file is done after this. */
const BEGINNINGS =
  /PRIVATE KEY|A[KS]IA[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_|glpat-|xox[abeprs]-[0-9]|hooks\.slack\.com|AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{40}|k_live_|sk-[A-Za-z0-9_-]{40}|npm_[A-Za-z0-9]{36}|pypi-AgE|hf_[A-Za-z]{34}|SG\.[A-Za-z0-9_-]{22}|eyJ[A-Za-z0-9_-]{10}/;

/** `secret_key = "…"`, `"apiKey": "…"`, `password: …`; the value is judged by `isRandom`. */
const ASSIGNED =
  /(?:secret|passw(?:or)?d|passphrase|token|api[_-]?key|access[_-]?key|auth[_-]?key|private[_-]?key|credential)\w{0,20}["'\]]{0,2}\s{0,4}(?::=|=>|=|:)\s{0,4}(?:\w{1,10}\()?(["'`]?)([A-Za-z0-9+/=_.~-]{20,200})\1/gi;

/** What `ASSIGNED` finds and a little more, in half the time. */
const MAYBE_ASSIGNED =
  /(?:secret|passw(?:or)?d|passphrase|token|key|credential)\w{0,20}["'\]]{0,2}\s{0,4}(?:=>?|:=?)\s{0,4}(?:\w{1,10}\()?["'`]?[A-Za-z0-9+/=_.~-]{20}/i;

const PLACEHOLDER =
  /example|sample|placeholder|changeme|change_me|dummy|your[_-]|xxxx|0000|1234567|abcdef|test|fake|<|\.\.\./i;

/** The first kind of secret found, for the detail of a reason. Never the secret. */
export function findSecret(text: string): string | undefined {
  if (BEGINNINGS.test(text) && TOKENS.some((pattern) => pattern.test(text))) return "a key or token";
  if (!MAYBE_ASSIGNED.test(text)) return undefined;
  for (const [, quote = "", value = ""] of text.matchAll(ASSIGNED)) {
    if (isRandom(value, quote !== "") && !PLACEHOLDER.test(value)) return "a random value under a telling name";
  }
  return undefined;
}

/** Hexadecimal or base64 that no one thought up. An identifier without quotes must be more than a long name. */
function isRandom(value: string, isQuoted: boolean): boolean {
  if (/^[0-9a-f]+$/i.test(value)) return value.length >= 32 && /\d/.test(value) && entropyOf(value) >= 3;
  const isMixed = /[a-z]/.test(value) && /[A-Z]/.test(value) && (value.match(/\d/g)?.length ?? 0) >= 3;
  // Words joined by dots, dashes or slashes are a path, a version or a name.
  const isWords = /^(?:[A-Za-z]+\d{0,2}[._/-]?)+$/.test(value) && /[._/-]/.test(value);
  return isMixed && !isWords && entropyOf(value) >= (isQuoted ? 4 : 4.3);
}

/** Shannon's, in bits a character. */
function entropyOf(value: string): number {
  const counts = new Map<string, number>();
  for (const character of value) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length);
  return bits;
}
