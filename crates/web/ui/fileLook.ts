// Owns how a file is written and drawn: its size in words, its kind, the room that its picture takes. Pure.
import type { FileAttrs } from "../client/src/wire.ts";

export type FileKind = "picture" | "video" | "sound" | "archive" | "text" | "other";

const UNITS = ["B", "kB", "MB", "GB", "TB"];
const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const ARCHIVE = /zip|x-tar|compressed|x-rar|x-bzip|x-xz|zstd/;
const TEXT = /^text\/|pdf|document|msword|rtf|sheet|excel|presentation|powerpoint/;
const DRAWN = /^image\/(png|jpeg|gif|webp)$/;
const PICTURE_WIDTH = 280;
const PICTURE_HEIGHT = 240;

export function fileSize(bytes: number): string {
  let unit = 0;
  let value = bytes;
  // Rounded first, so that nothing is "1,000 kB".
  while (Math.round(value * 10) >= 10_000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${number.format(value)} ${UNITS[unit]}`;
}

export function fileKind({ type = "" }: FileAttrs): FileKind {
  if (type.startsWith("image/")) return "picture";
  if (type.startsWith("video/")) return "video";
  if (type.startsWith("audio/")) return "sound";
  if (ARCHIVE.test(type)) return "archive";
  return TEXT.test(type) ? "text" : "other";
}

/** Whether browsers draw it by themselves. */
export function isDrawn({ type = "" }: FileAttrs): boolean {
  return DRAWN.test(type);
}

/** The room for a file's thumbnail in pixels, known before it is loaded; null if it has none. */
export function pictureRoom({ type, thumbnail }: FileAttrs): { width: number; height: number } | null {
  if (!thumbnail || !isDrawn({ type })) return null;
  const scale = Math.min(1, PICTURE_WIDTH / thumbnail.width, PICTURE_HEIGHT / thumbnail.height);
  return { width: Math.max(1, Math.round(thumbnail.width * scale)), height: Math.max(1, Math.round(thumbnail.height * scale)) };
}
