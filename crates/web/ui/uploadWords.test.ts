// Owns that why a file wasn't sent is told in words.
import { expect, it } from "vitest";
import { problemText } from "./uploadWords.ts";

it.each([
  [{}, "The connection was lost for too long."],
  [{ type: "unreadable" }, "It can't be read. Folders can't be sent."],
  [{ type: "something_new" }, "It couldn't be sent."],
  [{ status: 413 }, "It is too large."],
  [{ status: 418 }, "It couldn't be sent."],
  [{ status: 507, said: "1 GB is left" }, "There is no room left for files. The server says: 1 GB is left"],
])("%o is told as %s", (problem, told) => expect(problemText(problem)).toBe(told));
