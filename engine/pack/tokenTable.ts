// A checkpoint's token table as nodes of a graph: ids -> rows.
import type { Checkpoint } from "./checkpoint.ts";
import type { MatrixFormat } from "./matrices.ts";
import type { OnnxGraph } from "./onnxGraph.ts";

/** Token rows held at a time. */
const HELD_ROWS = 4096;

export interface TokenTable {
  /** In the graph. */
  readonly name: string;
  /** In the checkpoint, `[rows, width]`. */
  readonly tensor: string;
  readonly rows: number;
  readonly width: number;
}

/** Adds the rows of `ids`: float32 ones where matrices are, else int8 ones times their scale. Answers their name. */
export async function addTokenTable(
  graph: OnnxGraph,
  ids: string,
  table: TokenTable,
  format: MatrixFormat,
  checkpoint: Checkpoint,
  output?: string,
): Promise<string> {
  const { name, rows, width } = table;
  if (format === "fp32") {
    const values = floatRows(table, checkpoint);
    const weight = await graph.largeConstant(`${name}.w`, { type: "float32", dims: [rows, width] }, values);
    return graph.op("Gather", [weight, ids], {}, "", output);
  }
  const scales = new Float32Array(rows);
  const levels = await graph.largeConstant(
    `${name}.q`,
    { type: "int8", dims: [rows, width] },
    quantisedRows(table, checkpoint, scales),
  );
  const scale = await graph.largeConstant(`${name}.s`, { type: "float32", dims: [rows, 1] }, [scales]);
  const row = graph.op("Cast", [graph.op("Gather", [levels, ids])], { to: 1 });
  return graph.op("Mul", [row, graph.op("Gather", [scale, ids])], {}, "", output);
}

async function* floatRows({ tensor, rows, width }: TokenTable, checkpoint: Checkpoint): AsyncGenerator<Float32Array> {
  for (let row = 0; row < rows; row += HELD_ROWS) {
    yield await checkpoint.read(tensor, row * width, Math.min(HELD_ROWS, rows - row) * width);
  }
}

async function* quantisedRows(
  table: TokenTable,
  checkpoint: Checkpoint,
  scales: Float32Array,
): AsyncGenerator<Int8Array> {
  const { width } = table;
  let row = 0;
  for await (const values of floatRows(table, checkpoint)) {
    const levels = new Int8Array(values.length);
    for (let from = 0; from < values.length; from += width, row += 1) {
      let largest = 0;
      for (let n = from; n < from + width; n += 1) largest = Math.max(largest, Math.abs(values[n] as number));
      const scale = Math.fround(Math.max(largest / 127, 1e-12));
      scales[row] = scale;
      for (let n = from; n < from + width; n += 1) levels[n] = Math.round((values[n] as number) / scale);
    }
    yield levels;
  }
}
