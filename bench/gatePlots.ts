// The two pictures of a gate: does a stated probability hold, and what does precision cost in offers shown?
import { type Bin, type Judged, shownAt } from "./gateFit.ts";

const WIDTH = 460;
const HEIGHT = 260;

/** Predicted against observed share of right offers, the number of offers at each point. */
export function reliabilityPlot(sets: Readonly<Record<string, readonly Bin[]>>): object {
  const values = Object.entries(sets).flatMap(([set, bins]) => bins.map((bin) => ({ set, ...bin })));
  const top = Math.min(1, Math.ceil(Math.max(...values.flatMap((each) => [each.predicted, each.observed])) * 10) / 10);
  // By the root, or most offers would crowd in the corner.
  const axis = { domain: [0, top], type: "sqrt" };
  return {
    title: "Calibration: stated probability against the share that was right",
    width: WIDTH,
    height: HEIGHT,
    layer: [
      {
        data: {
          values: [
            { predicted: 0, observed: 0 },
            { predicted: top, observed: top },
          ],
        },
        mark: { type: "line", strokeDash: [4, 4], color: "gray" },
        encoding: {
          x: { field: "predicted", type: "quantitative", scale: axis },
          y: { field: "observed", type: "quantitative", scale: axis },
        },
      },
      {
        data: { values },
        mark: { type: "line", point: { size: 45 } },
        encoding: {
          x: { field: "predicted", type: "quantitative", scale: axis, title: "stated probability (mean of bin)" },
          y: { field: "observed", type: "quantitative", scale: axis, title: "share that was right" },
          color: { field: "set", type: "nominal", title: "offers" },
        },
      },
      {
        data: { values },
        mark: { type: "text", dy: -9, fontSize: 9 },
        transform: [{ filter: "datum.predicted > 0.004" }],
        encoding: {
          x: { field: "predicted", type: "quantitative", scale: axis },
          y: { field: "observed", type: "quantitative", scale: axis },
          text: { field: "n", type: "quantitative" },
          color: { field: "set", type: "nominal" },
        },
      },
    ],
  };
}

/** Precision over coverage as the threshold falls; `marks` are the shipped thresholds. */
export function coveragePlot(
  sets: Readonly<Record<string, readonly Judged[]>>,
  thresholds: Readonly<Record<string, number>>,
): object {
  const values = Object.entries(sets).flatMap(([set, judged]) => {
    const steps = [...new Set(judged.map(({ probability }) => probability))].sort((a, b) => b - a);
    return steps
      .map((threshold) => ({ set, ...shownAt(judged, threshold) }))
      .filter(({ n }) => n >= 10)
      .filter((_, at, all) => at % Math.max(1, Math.floor(all.length / 150)) === 0);
  });
  const marks = Object.entries(sets).flatMap(([set, judged]) =>
    Object.entries(thresholds).map(([name, threshold]) => ({ set, name, ...shownAt(judged, threshold) })),
  );
  const place = {
    x: { field: "coverage", type: "quantitative", axis: { format: "%" }, title: "coverage: share of offers shown" },
    y: {
      field: "precision",
      type: "quantitative",
      axis: { format: "%" },
      title: "precision: share of the shown that was right",
    },
    color: { field: "set", type: "nominal", title: "offers" },
  };
  return {
    title: "Coverage against precision (at least 10 shown)",
    width: WIDTH,
    height: HEIGHT,
    layer: [
      { data: { values }, mark: "line", encoding: place },
      { data: { values: marks }, mark: { type: "point", filled: true, size: 70 }, encoding: place },
      {
        data: { values: marks },
        mark: { type: "text", dx: 6, dy: -8, align: "left", fontSize: 10 },
        encoding: { ...place, text: { field: "name", type: "nominal" } },
      },
    ],
  };
}
