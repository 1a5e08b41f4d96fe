// Owns how files are written and drawn: sizes, kinds, the room for pictures.
import { describe, expect, it } from "vitest";
import { fileKind, fileSize, pictureRoom } from "./fileLook.ts";

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_000, "1 kB"],
  [1_250_000, "1.3 MB"],
  [999_999_999, "1 GB"],
  [5e15, "5,000 TB"],
])("%d bytes are %s", (bytes, written) => expect(fileSize(bytes)).toBe(written));

it.each([
  ["image/svg+xml", "picture"],
  ["video/mp4", "video"],
  ["audio/ogg", "sound"],
  ["application/zip", "archive"],
  ["application/pdf", "text"],
  ["text/html", "text"],
  ["application/octet-stream", "other"],
  [undefined, "other"],
])("%s is drawn as %s", (type, kind) => expect(fileKind({ type })).toBe(kind));

describe("a picture's room", () => {
  const room = (width: number, height: number, type = "image/png") => pictureRoom({ type, thumbnail: { width, height } });

  it("keeps the thumbnail's proportions within bounds", () => {
    expect(room(100, 50)).toEqual({ width: 100, height: 50 });
    expect(room(560, 100)).toEqual({ width: 280, height: 50 });
    expect(room(100, 480)).toEqual({ width: 50, height: 240 });
    expect(room(10_000, 1)).toEqual({ width: 280, height: 1 });
  });

  it("is none without a thumbnail, or for what isn't drawn as a picture", () => {
    expect(pictureRoom({ type: "image/png" })).toBeNull();
    expect(room(10, 10, "image/svg+xml")).toBeNull();
  });
});
