// Vega-Lite specifications -> one SVG file, without a browser.
import { writeFile } from "node:fs/promises";
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";

export async function drawPlots(plots: readonly object[], file: string): Promise<void> {
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "white",
    vconcat: plots,
    resolve: { scale: { color: "independent" } },
  } as unknown as TopLevelSpec;
  const view = new View(parse(compile(spec).spec), { renderer: "none" });
  await writeFile(file, await view.toSVG());
  view.finalize();
}
