// Owns that a customer's data is shown in words, however deep it is nested.
import { expect, it } from "vitest";
import { dataRows } from "./dataRows.ts";

it("nested data becomes rows of its own", () => {
  expect(dataRows({ page_url: "/", cart: { items: [{ name: "Tent", count: 2 }] }, empty: null })).toEqual([
    ["Page", "/"],
    ["cart › items › 1 › name", "Tent"],
    ["cart › items › 1 › count", "2"],
  ]);
});
