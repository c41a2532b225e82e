// Logistic regression with a penalty, by Newton's method: small enough to be read, and nothing else to install.

export interface Logistic {
  readonly bias: number;
  /** For standardised columns. */
  readonly weights: readonly number[];
}

/** A column's mean and deviation; 1 for a column that never varies. */
export function standard(values: readonly number[]): { mean: number; scale: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length);
  return { mean, scale: variance < 1e-12 ? 1 : Math.sqrt(variance) };
}

const ROUNDS = 25;

/** `rows` [n][columns] standardised, `answers` 0 or 1; `penalty` λ of λ/2·Σw², the bias left out. */
export function fitLogistic(
  rows: readonly (readonly number[])[],
  answers: readonly number[],
  penalty: number,
): Logistic {
  const width = (rows[0]?.length ?? 0) + 1;
  let beta = new Array<number>(width).fill(0);
  for (let round = 0; round < ROUNDS; round += 1) {
    const gradient = beta.map((value, column) => (column === 0 ? 0 : -penalty * value));
    const hessian = beta.map((_, i) => beta.map((__, j) => (i === j ? (i === 0 ? 1e-6 : penalty) : 0)));
    rows.forEach((row, n) => {
      const x = [1, ...row];
      const p = 1 / (1 + Math.exp(-x.reduce((sum, value, column) => sum + value * (beta[column] ?? 0), 0)));
      const weight = p * (1 - p);
      x.forEach((value, i) => {
        gradient[i] = (gradient[i] ?? 0) + ((answers[n] ?? 0) - p) * value;
        const line = hessian[i] ?? [];
        x.forEach((other, j) => {
          line[j] = (line[j] ?? 0) + weight * value * other;
        });
      });
    });
    const step = solve(hessian, gradient);
    beta = beta.map((value, column) => value + (step[column] ?? 0));
    if (Math.max(...step.map(Math.abs)) < 1e-8) break;
  }
  const [bias = 0, ...weights] = beta;
  return { bias, weights };
}

/** Gaussian elimination with pivoting; the matrix is positive definite. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, n) => [...row, right[n] ?? 0]);
  const size = rows.length;
  const at = (row: number, column: number) => rows[row]?.[column] ?? 0;
  for (let column = 0; column < size; column += 1) {
    let pivot = column;
    for (let row = column + 1; row < size; row += 1)
      if (Math.abs(at(row, column)) > Math.abs(at(pivot, column))) pivot = row;
    [rows[column], rows[pivot]] = [rows[pivot] ?? [], rows[column] ?? []];
    for (let row = column + 1; row < size; row += 1) {
      const factor = at(row, column) / at(column, column);
      rows[row] = (rows[row] ?? []).map((value, each) => value - factor * at(column, each));
    }
  }
  const solution = new Array<number>(size).fill(0);
  for (let row = size - 1; row >= 0; row -= 1) {
    const known = solution.reduce((sum, value, column) => sum + value * at(row, column), 0);
    solution[row] = (at(row, size) - known) / at(row, row);
  }
  return solution;
}
