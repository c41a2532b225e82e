// Rows of a reader's token table out of its graph's file: for one token a run of the graph would take a tenth of the token's time.
import { closeSync, openSync, readSync } from "node:fs";
import { integerOf, type OnnxModel, readOnnxModel, type StoredConstant } from "../pack/onnxModel.ts";

const FLOAT32 = 1;
const INT8 = 3;

export interface StoredRows {
  /** `[ids.length, readerDim]`, the same numbers as the graph's. */
  rows(ids: readonly number[]): Float32Array;
  close(): void;
}

interface Place {
  readonly file: string;
  readonly offset: number;
}

/** Rows as they are, or int8 ones with a scale each. */
interface Table {
  readonly rows: Place;
  readonly scales: Place | undefined;
  readonly width: number;
}

/** Undefined where the graph does something else than looking up rows of a table, float32 or int8 times a scale. */
export async function openStoredRows(file: string): Promise<StoredRows | undefined> {
  const table = tableOf(await readOnnxModel(file));
  if (table === undefined) return undefined;
  const { rows, scales, width } = table;
  const rowBytes = scales === undefined ? width * Float32Array.BYTES_PER_ELEMENT : width;
  const rowsFile = openSync(rows.file, "r");
  const scalesFile = scales === undefined || scales.file === rows.file ? rowsFile : openSync(scales.file, "r");
  const scale = new Float32Array(1);
  const levels = new Int8Array(width);
  return {
    rows: (ids) => {
      const found = new Float32Array(ids.length * width);
      ids.forEach((id, n) => {
        const own = found.subarray(n * width, (n + 1) * width);
        readAt(rowsFile, scales === undefined ? own : levels, rows.offset + id * rowBytes);
        if (scales === undefined) return;
        readAt(scalesFile, scale, scales.offset + id * Float32Array.BYTES_PER_ELEMENT);
        for (let column = 0; column < width; column += 1)
          own[column] = (levels[column] as number) * (scale[0] as number);
      });
      return found;
    },
    close: () => {
      closeSync(rowsFile);
      if (scalesFile !== rowsFile) closeSync(scalesFile);
    },
  };
}

function tableOf({ nodes, constants, inputs }: OnnxModel): Table | undefined {
  const kinds = nodes.map(({ kind }) => kind).sort();
  if (kinds.join(" ") !== "Gather" && kinds.join(" ") !== "Cast Gather Gather Mul") return undefined;
  const tables: StoredConstant[] = [];
  for (const node of nodes) {
    if (node.kind !== "Gather") continue;
    const [name = "", ids] = node.inputs;
    const table = constants.get(name);
    if (table === undefined || ids !== inputs[0]?.name || (integerOf(node, "axis") ?? 0) !== 0) return undefined;
    tables.push(table);
  }
  const ofType = (type: number, fits: (width: number) => boolean) =>
    tables.find(({ type: own, dims, place }) => own === type && dims.length === 2 && fits(dims[1] ?? 0) && place);
  const rows = ofType(tables.length === 1 ? FLOAT32 : INT8, (width) => width > 0);
  const scales = ofType(FLOAT32, (width) => width === 1);
  if (rows?.place === undefined || (tables.length === 2 && scales?.place === undefined)) return undefined;
  return { rows: rows.place, scales: tables.length === 2 ? scales?.place : undefined, width: rows.dims[1] ?? 0 };
}

function readAt(file: number, into: Float32Array | Int8Array, position: number): void {
  for (let done = 0; done < into.byteLength; ) {
    const bytes = new Uint8Array(into.buffer, into.byteOffset + done, into.byteLength - done);
    const count = readSync(file, bytes, { position: position + done });
    if (count === 0) throw new Error("a token table was cut short");
    done += count;
  }
}
