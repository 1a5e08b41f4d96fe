// Owns why a file wasn't sent, in words.
import type { UploadProblem } from "../client/src/uploads.ts";
import { fileTexts as texts } from "./fileTexts.ts";

export function problemText({ type, status, said }: UploadProblem): string {
  const known = texts.problems[type ?? String(status)] ?? (type === undefined && status === undefined ? texts.lost : texts.failed);
  return said === undefined ? known : `${known} ${texts.serverSays(said)}`;
}
