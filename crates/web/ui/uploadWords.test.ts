// Owns that why a file wasn't sent is told in words, and its progress to those who don't see it.
import { expect, it } from "vitest";
import type { OwnUpload } from "../client/src/uploads.ts";
import { announcement, isWorthRetry, problemText } from "./uploadWords.ts";

it.each([
  [{}, "The connection was lost for too long."],
  [{ type: "unreadable" }, "It can't be read. Folders can't be sent."],
  [{ type: "something_new" }, "It couldn't be sent."],
  [{ status: 413 }, "It is too large."],
  [{ status: 413, said: "a file may have 1000000 bytes" }, "It is too large. Files can have up to 1 MB."],
  [{ type: "upload_quota_exceeded", said: "a file may have 5 bytes" }, "It is too large. Files can have up to 5 B."],
  [{ status: 418 }, "It couldn't be sent."],
  [{ status: 507, said: "1 GB is left" }, "There is no room left for files. The server says: 1 GB is left"],
])("%o is told as %s", (problem, told) => expect(problemText(problem)).toBe(told));

it.each([
  [{}, true],
  [{ status: 507 }, true],
  [{ type: "failed" }, true],
  [{ type: "upload_quota_exceeded" }, true],
  [{ type: "upload_quota_exceeded", said: "a file may have 5 bytes" }, false],
  [{ status: 413 }, false],
  [{ type: "unreadable" }, false],
])("after %o, another attempt is offered: %s", (problem, offered) => expect(isWorthRetry(problem)).toBe(offered));

function upload(id: number, sent = 0, phase: OwnUpload["phase"] = "sending"): OwnUpload {
  return { id, channelId: "c", name: `f${id}`, size: 100, sent, phase };
}

it.each([
  [[], [upload(1)], "Sending f1"],
  [[upload(1)], [upload(1), upload(2), upload(3)], "Sending 2 files"],
  [[upload(1)], [upload(1, 24)], ""],
  [[upload(1, 24)], [upload(1, 60)], "f1: 50 %"],
  [[upload(1, 60)], [upload(1, 74)], ""],
  [[upload(1, 60)], [upload(1, 60, "waiting")], "f1 waits for the connection"],
  [[upload(1, 60)], [upload(1, 0)], ""],
  [[upload(1, 80)], [upload(1, 100)], ""],
  [[upload(1, 80)], [], ""],
])("from %o to %o is said as %s", (before, after, said) => expect(announcement(before, after)).toBe(said));
