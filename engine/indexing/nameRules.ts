// Why a file or folder is left out, as far as its name and size tell. What these rules pass is read and judged by its text
// (`contentRules.ts`). Folders named here come back by `!folder/` in an ignore file.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../errors.ts";
import type { SkipReason } from "./skipReasons.ts";

/** Files that hold keys by convention; their text is never read. `settings.json` and `config.json` are not among them. */
const SECRET_NAMES = [
  /^\.env(\..+)?$|^.+\.env$/i,
  /^[._]netrc$|^\.(pypirc|npmrc|yarnrc|htpasswd|pgpass|my\.cnf|git-credentials|dockercfg|vault-token|s3cfg|boto)$/i,
  /^id_(rsa|dsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk)$/i,
  /\.(pem|key|p12|pfx|jks|keystore|kdbx?|ppk|gpg|ovpn|tfstate|tfvars)(\.backup)?$/i,
  /^(credentials|client[_-]?secrets?[^/]*|service[_-]?account[^/]*|secrets?)(\.(json|ya?ml|toml|ini|xml|properties))$/i,
  /^(credentials|kubeconfig)$/i,
];

const GENERATED_NAMES = [
  /^(package-lock|npm-shrinkwrap|composer-lock|packages\.lock)\.json$/,
  /^(yarn|poetry|pdm|uv|Pipfile|Cargo|Gemfile|composer|mix|Podfile|flake|pixi|bun)\.lockb?$/i,
  /^(pnpm-lock\.yaml|go\.sum|gradle\.lockfile|conda-lock\.yml|Package\.resolved)$/,
  /_pb2(_grpc)?\.pyi?$|\.pb(\.gw|_grpc|\.validate)?\.(go|cc|h|js|ts)$|_pb\.(js|d\.ts|rb)$|_grpc_pb\.(js|d\.ts)$/,
  /\.(g|designer|generated)\.(cs|vb|ts|js|dart|go|py|java)$/i,
  /\.(map|tsbuildinfo|pyc|egg-link)$/,
];

const MINIFIED_NAMES = /[.-]min\.(js|mjs|cjs|css)$/i;

const DATA_NAMES =
  /^\.(\w+ignore|gitattributes|gitkeep|gitmodules)$|\.(csv|tsv|jsonl|ndjson|geojson|svg|log|dat|srt|vtt|fasta|fastq|vcf|arff|libsvm|pot?|ics|snap)$/i;

const LEGAL_NAMES = /^(LICEN[CS]ES?|COPYING|NOTICE|PATENTS)([.-].+)?$/;

/** Settings and prose while they are small, data when they are large. */
const DATA_WHEN_LARGE = /\.(json|json5|jsonc|ya?ml|xml|txt|html?|sql|plist|ini|cfg|properties)$/i;
const LARGE_BYTES = 64 * 1024;

/** Read only to find that they are no text. */
const BINARY_NAMES = new RegExp(
  `\\.(${[
    "png jpe?g gif bmp ico icns tiff? webp avif heic psd ai eps pdf",
    "mp[34] m4[av] wav flac ogg avi mov mkv webm",
    "zip gz tgz bz2 xz zst 7z rar tar jar war ear whl egg deb rpm dmg iso apk vsix nupkg gem",
    "o a so dylib dll lib exe bin obj wasm class pdb pyd node elc beam",
    "ttf otf woff2? eot",
    "docx? xlsx? pptx? odt ods odp rtf",
    "db sqlite3? mdb parquet feather arrow npy npz pkl pickle h5 hdf5 mat pt pth ckpt onnx pb tflite safetensors gguf",
  ]
    .join(" ")
    .replaceAll(" ", "|")})$|\\.so\\.\\d`,
  "i",
);

/** Never a person's source, whatever an ignore file says. */
const NEVER_SOURCE = new Set([".git", ".hg", ".svn", ".jj"]);

/** Another's code, installed or copied. */
const VENDORED_FOLDERS = new Set([
  ...["node_modules", "bower_components", "jspm_packages", "site-packages", "dist-packages", "vendor", "_vendor"],
  ...["third_party", "third-party", "thirdparty", "3rdparty", "Pods", "Carthage", ".venv", ".tox", ".nox", ".eggs"],
  ...[".yarn", ".pnpm-store", ".bundle"],
]);

/** Caches of tools. */
const CACHE_FOLDERS = new Set([
  ...["__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints", ".hypothesis", ".gradle"],
  ...[".next", ".nuxt", ".svelte-kit", ".parcel-cache", ".turbo", ".angular", ".terraform", ".serverless", ".cache"],
  ...["htmlcov", ".nyc_output", ".dart_tool"],
]);

/** Their presence says that the folder around them is a Python environment. */
const ENVIRONMENT_MARKS = ["pyvenv.cfg", "conda-meta"];

/** A build's output by name, if the build's own file lies beside it; else the name is a person's choice. */
const OUTPUT_FOLDERS: Readonly<Record<string, RegExp>> = {
  dist: /^(package\.json|setup\.py|pyproject\.toml)$/,
  build: /^(package\.json|setup\.py|pyproject\.toml|CMakeLists\.txt|build\.gradle(\.kts)?|meson\.build|pubspec\.yaml)$/,
  out: /^(package\.json|build\.gradle(\.kts)?)$/,
  target: /^(Cargo\.toml|pom\.xml|build\.sbt)$/,
  bin: /\.(csproj|fsproj|vbproj)$/,
  obj: /\.(csproj|fsproj|vbproj)$/,
  coverage: /^package\.json$/,
};

export interface NamedReason {
  readonly reason: SkipReason;
  readonly detail: string;
}

/** `size` in bytes, where it is known. */
export function reasonOfName(path: string, size = 0): NamedReason | undefined {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (SECRET_NAMES.some((pattern) => pattern.test(name))) return { reason: "secret", detail: "by name" };
  if (GENERATED_NAMES.some((pattern) => pattern.test(name))) return { reason: "generated", detail: "by name" };
  if (MINIFIED_NAMES.test(name)) return { reason: "minified", detail: "by name" };
  if (DATA_NAMES.test(name) || LEGAL_NAMES.test(name)) return { reason: "data", detail: "by name" };
  if (BINARY_NAMES.test(name)) return { reason: "binary", detail: "by name" };
  if (size > LARGE_BYTES && DATA_WHEN_LARGE.test(name))
    return { reason: "data", detail: `${Math.ceil(size / 1024)} KiB` };
  return undefined;
}

/** Folders that no ignore file brings back. */
export function isNeverSource(folder: string): boolean {
  return NEVER_SOURCE.has(folder.slice(folder.lastIndexOf("/") + 1));
}

/** `folder` is relative to `root`. */
export function reasonOfFolder(root: string, folder: string): NamedReason | undefined {
  const name = folder.slice(folder.lastIndexOf("/") + 1);
  if (VENDORED_FOLDERS.has(name)) return { reason: "vendored", detail: "by name" };
  if (ENVIRONMENT_MARKS.some((mark) => existsSync(join(root, folder, mark)))) {
    return { reason: "vendored", detail: "a Python environment" };
  }
  if (CACHE_FOLDERS.has(name) || name.endsWith(".egg-info") || name.endsWith(".dist-info")) {
    return { reason: "generated", detail: "by name" };
  }
  const builder = Object.hasOwn(OUTPUT_FOLDERS, name) ? OUTPUT_FOLDERS[name] : undefined;
  const found =
    builder === undefined ? undefined : namesIn(join(root, folder, "..")).find((each) => builder.test(each));
  return found === undefined ? undefined : { reason: "generated", detail: `output of ${found}` };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [];
  }
}
