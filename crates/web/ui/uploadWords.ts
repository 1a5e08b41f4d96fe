// Owns what is said of files on their way: why one wasn't sent, and what somebody hears who doesn't see the progress.
import type { OwnUpload, UploadProblem } from "../client/src/uploads.ts";
import { fileSize } from "./fileLook.ts";
import { fileTexts as texts } from "./fileTexts.ts";

/** How many bytes the server takes, when it says that a file has more. */
const LIMIT = /^a file may have (\d+) bytes\b/;
/** What would end in the same way. */
const FINAL = new Set(["unreadable", "permission_denied", "action_not_supported", "refused", "ended", "403", "413", "415"]);
/** How often progress is told in words. */
const STEPS = 4;

export function problemText({ type, status, said }: UploadProblem): string {
  const limit = LIMIT.exec(said ?? "")?.[1];
  if (limit !== undefined) return texts.tooLarge(fileSize(Number(limit)));
  const known = texts.problems[type ?? String(status)] ?? (type === undefined && status === undefined ? texts.lost : texts.failed);
  return said === undefined ? known : `${known} ${texts.serverSays(said)}`;
}

/** Whether another attempt may end better. */
export function isWorthRetry({ type, status, said = "" }: UploadProblem): boolean {
  return !FINAL.has(type ?? String(status)) && !LIMIT.test(said);
}

/** What is new about files on their way, in words; empty if it isn't worth any. Failures say themselves. */
export function announcement(before: readonly OwnUpload[], after: readonly OwnUpload[]): string {
  const known = new Map(before.map((upload) => [upload.id, upload]));
  const added = after.filter(({ id }) => !known.has(id));
  if (added[0]) return added[1] ? texts.sendingMany(added.length) : texts.sending(added[0].name);
  for (const upload of after) {
    const { name, phase, sent, size } = upload;
    const old = known.get(upload.id)!;
    if (phase === "waiting" && old.phase !== "waiting") return texts.waitingNamed(name);
    const step = stepOf(sent, size);
    if (phase === "sending" && step > stepOf(old.sent, size) && step < STEPS) return texts.percent(name, (step * 100) / STEPS);
  }
  return "";
}

function stepOf(sent: number, size: number): number {
  return size > 0 ? Math.floor((sent / size) * STEPS) : 0;
}
