// Which cell of a notebook a line of its file lies in.
import { describe, expect, it } from "vitest";
import { cellAt } from "../../extension/notebookCell.ts";

const CELLS = [
  { cell_type: "markdown", metadata: {}, source: ['# "cells": [{\n', 'a brace { and a quote \\" too'] },
  { cell_type: "code", metadata: { tags: [{ cells: [{}] }] }, outputs: [{ data: {} }], source: ["first = 1\n", "x"] },
  { cell_type: "code", metadata: {}, outputs: [], source: ["second = 2"] },
];
const NOTEBOOK = JSON.stringify({ metadata: { cells: [{}] }, cells: CELLS, nbformat: 4 }, null, 1);

const lineOf = (text: string): number => NOTEBOOK.slice(0, NOTEBOOK.indexOf(text)).split("\n").length;

describe("cellAt", () => {
  it("counts cells of every kind, and none of the braces in text, metadata and outputs", () => {
    expect(cellAt(NOTEBOOK, lineOf("a brace"))).toBe(0);
    expect(cellAt(NOTEBOOK, lineOf("first"))).toBe(1);
    expect(cellAt(NOTEBOOK, lineOf("second"))).toBe(2);
    expect(cellAt(NOTEBOOK.replaceAll("\n", "\r\n"), lineOf("second"))).toBe(2);
  });

  it("knows no cell before the first, nor in what is no notebook", () => {
    expect(cellAt(NOTEBOOK, 1)).toBeUndefined();
    expect(cellAt("", 3)).toBeUndefined();
    expect(cellAt('"open', 1)).toBeUndefined();
  });
});
