// Owns turning a customer's data into labelled rows, so that a person never reads JSON.
import { texts } from "./texts.ts";

export function dataRows(value: unknown, prefix = ""): [string, string][] {
  if (value === null || value === undefined) return [];
  if (typeof value !== "object") return [[prefix, typeof value === "string" ? value : JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, inner]) => {
    const label = Array.isArray(value) ? String(Number(key) + 1) : (texts.dataLabels[key] ?? key.replaceAll("_", " "));
    return dataRows(inner, prefix ? `${prefix} › ${label}` : label);
  });
}
