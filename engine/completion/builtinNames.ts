// Names a language has without an import: what a symbol check must not call unknown. Keyed by the language's name.

export interface BuiltinNames {
  /** Functions, types, constants and words of the grammar that a parser may give as an identifier. */
  readonly names: ReadonlySet<string>;
  /** Methods and attributes of the built-in types and of the commonest standard modules. */
  readonly attributes: ReadonlySet<string>;
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/).filter((word) => word !== ""));

/** `dir(builtins)` of CPython 3.12 without the shell's own. */
const PYTHON_NAMES = words(`
  ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError BrokenPipeError
  BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError
  ConnectionResetError DeprecationWarning EOFError Ellipsis EncodingWarning EnvironmentError Exception ExceptionGroup
  False FileExistsError FileNotFoundError FloatingPointError FutureWarning GeneratorExit IOError ImportError
  ImportWarning IndentationError IndexError InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError
  MemoryError ModuleNotFoundError NameError None NotADirectoryError NotImplemented NotImplementedError OSError
  OverflowError PendingDeprecationWarning PermissionError ProcessLookupError RecursionError ReferenceError
  ResourceWarning RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError
  SystemExit TabError TimeoutError True TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError
  UnicodeTranslateError UnicodeWarning UserWarning ValueError Warning ZeroDivisionError abs aiter all anext any ascii
  bin bool breakpoint bytearray bytes callable chr classmethod compile complex delattr dict dir divmod enumerate eval
  exec filter float format frozenset getattr globals hasattr hash help hex id input int isinstance issubclass iter len
  list locals map max memoryview min next object oct open ord pow print property range repr reversed round set setattr
  slice sorted staticmethod str sum super tuple type vars zip self cls _ match case __name__ __file__ __doc__ __all__
  __class__ __debug__ __import__ __path__ __spec__ __version__ reveal_type
`);

/** Attributes of str, bytes, list, dict, set, numbers, files, patterns, exceptions; special names are known by shape. */
const PYTHON_ATTRIBUTES = words(`
  add add_note append args as_integer_ratio bit_count bit_length capitalize casefold center clear close closed
  conjugate copy count decode deleter denominator detach difference difference_update discard encode encoding end
  endpos endswith errors expand expandtabs extend fget fileno find findall finditer flags flush format format_map
  from_bytes fromhex fromkeys fset fullmatch get getter group groupdict groupindex groups hex imag index indices insert
  intersection intersection_update is_integer isalnum isalpha isascii isatty isdecimal isdigit isdisjoint isidentifier
  islower isnumeric isprintable isspace issubset issuperset istitle isupper items join keys lastgroup lastindex ljust
  lower lstrip maketrans match mode mro name newlines numerator partition pattern pop popitem pos re read readable
  readline readlines real remove removeprefix removesuffix replace reverse rfind rindex rjust rpartition rsplit rstrip
  scanner search seek seekable send setdefault setter sort span split splitlines start startswith step stop string
  strip sub subn swapcase symmetric_difference symmetric_difference_update tell throw title to_bytes translate truncate
  union update upper values with_traceback writable write writelines zfill
`);

/** ECMAScript's globals and the commonest of a browser and Node; TypeScript's built-in types. */
const SCRIPT_NAMES = words(`
  Array ArrayBuffer BigInt Boolean Buffer DataView Date Error EvalError Float32Array Float64Array Function Infinity
  Int16Array Int32Array Int8Array Intl JSON Map Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect
  RegExp Set String Symbol SyntaxError TypeError URIError URL URLSearchParams Uint16Array Uint32Array Uint8Array WeakMap
  WeakRef WeakSet AbortController AbortSignal Awaited Event EventTarget Exclude Extract FormData Headers Iterable
  Iterator NonNullable Omit Parameters Partial Pick Readonly ReadonlyArray ReadonlyMap ReadonlySet Record Request
  Required Response ReturnType TextDecoder TextEncoder any arguments async await boolean clearInterval clearTimeout
  console decodeURIComponent document encodeURIComponent exports fetch globalThis isFinite isNaN module never null
  number object of parseFloat parseInt performance process queueMicrotask require setInterval setTimeout string
  structuredClone super symbol this true false undefined unknown void window
`);

const SCRIPT_ATTRIBUTES = words(`
  add apply assign at bind byteLength call catch charAt charCodeAt clear code codePointAt concat constructor create
  defineProperty delete done endsWith entries error every fill filter finally find findIndex findLast flat flatMap
  floor forEach freeze from fromEntries get getOwnPropertyNames getTime groupBy has hasOwnProperty includes index
  indexOf isArray isInteger join keys lastIndexOf length localeCompare log map match matchAll max message min name next
  normalize now of padEnd padStart parse pop prototype push random reduce reject repeat replace replaceAll resolve
  reverse round set shift size slice some sort splice split stack startsWith stringify substring test then
  toFixed toISOString toLowerCase toSorted toString toUpperCase trim trimEnd trimStart unshift value valueOf values warn
`);

const SCRIPT: BuiltinNames = { names: SCRIPT_NAMES, attributes: SCRIPT_ATTRIBUTES };

const BUILTINS: Readonly<Record<string, BuiltinNames>> = {
  python: { names: PYTHON_NAMES, attributes: PYTHON_ATTRIBUTES },
  javascript: SCRIPT,
  typescript: SCRIPT,
  tsx: SCRIPT,
};

/** Undefined for a language whose names are not listed: there, a name seen nowhere may still be one of its own. */
export function builtinsOf(language: string): BuiltinNames | undefined {
  return BUILTINS[language];
}
